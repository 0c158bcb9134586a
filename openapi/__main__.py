"""`python -m openapi`: writes the documents beside the function that sends them."""

from conversations.http.dialects import DIALECTS
from openapi.document import FOLDER, write

for dialect in DIALECTS:
    (FOLDER / f"{dialect.name}.json").write_text(write(dialect), encoding="utf-8")
