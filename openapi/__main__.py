"""`python -m openapi`: writes the documents beside the function that sends them."""

from openapi.dialects import DIALECTS
from openapi.document import FOLDER, write

for dialect in DIALECTS:
    (FOLDER / dialect.file_name).write_text(write(dialect), encoding="utf-8")
