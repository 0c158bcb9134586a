from pathlib import Path
from textwrap import dedent

import pytest

from local.errors import TemplateError
from local.intrinsics import Intrinsics, Json, read_document
from local.template import TEMPLATE, Template

APP = Path(__file__).parent / "app" / "template.yaml"

DOCUMENT = """
Parameters:
  Size: {Type: Number, Default: 3}
  Colour: {Type: String, Default: red}
  Names: {Type: CommaDelimitedList, Default: "a,b"}
Mappings:
  Shades: {red: {light: pink}}
Conditions:
  IsRed: !Equals [!Ref Colour, red]
  IsLarge: !Equals [!Ref Size, "10"]
  IsBoth: !And [!Condition IsRed, !Condition IsLarge]
  IsEither: !Or [!Condition IsRed, !Condition IsLarge]
  IsNotRed: !Not [!Condition IsRed]
Resources:
  Table: {Type: AWS::DynamoDB::Table, Properties: {}}
  Named: {Type: AWS::DynamoDB::Table, Properties: {TableName: !Sub "${Colour}-things"}}
  Bucket: {Type: AWS::S3::Bucket}
  Queue: {Type: AWS::SQS::Queue}
  Function: {Type: AWS::Serverless::Function, Properties: {}}
  Api: {Type: AWS::Serverless::Api, Properties: {StageName: !Ref Colour}}
  Red: {Type: AWS::S3::Bucket, Condition: IsRed}
  Large: {Type: AWS::S3::Bucket, Condition: IsLarge}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "template.yaml"
    path.write_text(DOCUMENT)
    return path


def resolved(path: Path, value: str) -> Json:
    path.write_text(f"{path.read_text()}\nOutputs: {{Value: {dedent(value)}}}")
    document = read_document(path)
    outputs = document["Outputs"]
    assert isinstance(outputs, dict)
    return Intrinsics(document, {}).resolve(outputs["Value"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("!Ref Size", 3),
        ("!Ref Names", ["a", "b"]),
        ("!Ref AWS::Region", "us-east-1"),
        ("!Ref Table", "local-stack-Table"),
        ("!Ref Named", "red-things"),
        ("!Ref Bucket", "local-stack-bucket"),
        ("!Ref Api.Stage", "red"),
        ('!Sub "${Api.Stage}/${Named}"', "red/red-things"),
        ("!Ref Function.Alias",
         "arn:aws:lambda:us-east-1:123456789012:function:local-stack-Function:Alias"),
        ("!GetAtt Table.Arn", "arn:aws:dynamodb:us-east-1:123456789012:table/local-stack-Table"),
        ("!GetAtt [Bucket, Arn]", "arn:aws:s3:::local-stack-bucket"),
        ("!GetAtt Queue.Arn", "arn:aws:sqs:us-east-1:123456789012:local-stack-Queue"),
        ("!GetAtt Queue.QueueName", "Queue.QueueName"),
        ("!Sub '${Table}/${Table.Arn}/${!Literal}/${Size}'",
         "local-stack-Table/arn:aws:dynamodb:us-east-1:123456789012:table/local-stack-Table/${Literal}/3"),
        ("!Sub ['${Own}-${Colour}', {Own: !Ref Size}]", "3-red"),
        ("!Join ['-', [a, !Ref Size, true]]", "a-3-true"),
        ("!Select [1, !Split [',', 'x,y']]", "y"),
        ("!FindInMap [Shades, !Ref Colour, light]", "pink"),
        ("!If [IsRed, {a: 1}, 2]", {"a": 1}),
        ("!If [IsLarge, 1, !Ref AWS::NoValue]", None),
        ("{kept: 1, left: !Ref AWS::NoValue}", {"kept": 1}),
        ("[1, !If [IsBoth, 2, !Ref AWS::NoValue], !If [IsEither, 3, 4], !If [IsNotRed, 5, 6]]",
         [1, 3, 6]),
        ("{Fn::Join: ['', [long, form]]}", "longform"),
        ("2012-10-17", "2012-10-17"),
    ],
)  # fmt: skip
def test_functions_are_worked_out(path: Path, value: str, expected: Json) -> None:
    assert resolved(path, value) == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("!Cidr [1, 2, 3]", "Fn::Cidr"),
        ("!Ref Nothing", "no resource Nothing"),
        ("!GetAtt Nothing.Arn", "no resource Nothing"),
        ("!If [Nothing, 1, 2]", "no condition Nothing"),
        ("!FindInMap [Shades, blue, light]", "Shades has no entry blue.light"),
        ("!Join [a]", "list"),
        ("!Sub ['x', y]", "mapping"),
    ],
)
def test_what_is_not_known_is_named(path: Path, value: str, words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        resolved(path, value)


def test_parameters_can_be_given(path: Path) -> None:
    intrinsics = Intrinsics(read_document(path), {"Size": 10, "Colour": "blue"})

    assert intrinsics.name("Named") == "blue-things"
    assert intrinsics.is_created("Large")
    assert not intrinsics.is_created("Red")


def test_unknown_parameter_is_rejected(path: Path) -> None:
    with pytest.raises(TemplateError, match="no parameter Weight"):
        Intrinsics(read_document(path), {"Weight": 1})


def test_parameter_without_a_value_is_rejected(path: Path) -> None:
    path.write_text("Parameters: {Needed: {Type: String}}")

    with pytest.raises(TemplateError, match="Needed"):
        Intrinsics(read_document(path), {})


def test_template_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"nowhere\.yaml does not exist"):
        Template(tmp_path / "nowhere.yaml")


def test_template_that_is_no_mapping_is_rejected(path: Path) -> None:
    path.write_text("[]")

    with pytest.raises(TemplateError, match="is not a template"):
        Template(path)


def test_routes_carry_their_function_and_authorizer() -> None:
    routes = {route.path: route for route in Template(APP).api.routes}

    assert routes["/respond"].function == "EchoFunction"
    assert routes["/respond"].method == "POST"
    assert routes["/respond"].authorizer == "Gate"
    assert routes["/open"].authorizer is None


def test_globals_lie_below_a_function() -> None:
    functions = Template(APP).functions

    assert functions["EchoFunction"].timeout_seconds == 20
    assert functions["ListenerFunction"].timeout_seconds == 5
    assert functions["GateFunction"].memory_mb == 128
    assert functions["GateFunction"].environment == {"HEARD_TABLE": "local-stack-HeardTable"}
    assert functions["GateFunction"].code == APP.parent / "gate"


def test_subscription_is_read() -> None:
    [subscription] = Template(APP, {"Retries": 7}).functions["ListenerFunction"].subscriptions

    assert subscription.table == "NotesTable"
    assert subscription.batch_size == 3
    assert subscription.retries == 7
    assert subscription.reports_failures
    assert not subscription.bisects


def test_authorizer_of_another_type_is_rejected(tmp_path: Path) -> None:
    text = APP.read_text().replace(
        "Identity:", "FunctionPayloadType: REQUEST\n            Identity:"
    )
    (tmp_path / "template.yaml").write_text(text)

    with pytest.raises(TemplateError, match="TOKEN"):
        Template.loaded(tmp_path / "template.yaml", {})


def test_throttle_of_a_single_method_is_rejected(tmp_path: Path) -> None:
    text = TEMPLATE.read_text().replace("ResourcePath: /*", "ResourcePath: /~1conversations")
    (tmp_path / "template.yaml").write_text(text)

    with pytest.raises(TemplateError, match="all methods"):
        Template.loaded(tmp_path / "template.yaml", {})


def test_arn_of_nothing_is_rejected(tmp_path: Path) -> None:
    text = APP.read_text().replace("!GetAtt GateFunction.Arn", "arn:aws:lambda:elsewhere")
    (tmp_path / "template.yaml").write_text(text)

    with pytest.raises(TemplateError, match="arn:aws:lambda:elsewhere"):
        Template.loaded(tmp_path / "template.yaml", {})


def test_own_template_names_every_part() -> None:
    template = Template(TEMPLATE)

    assert template.functions.keys() == {
        *("ApiFunction", "AuthorizerFunction", "PagesFunction", "PurgeFunction"),
    }
    assert template.tables.keys() == {"ConversationsTable", "ApiKeysTable"}
    assert template.buckets == ("PayloadBucket",)
    assert {
        route.path.rpartition("/")[2] for route in template.api.routes if not route.authorizer
    } == {"openapi.json", "console", "docs"}
