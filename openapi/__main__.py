"""Command `python -m openapi`, which writes the documents to the function that returns them."""

from conversations.http.dialects import DIALECTS
from openapi.document import FOLDER, write

for dialect in DIALECTS:
    (FOLDER / f"{dialect.name}.json").write_text(write(dialect), encoding="utf-8")
