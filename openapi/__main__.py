"""`python -m openapi`: writes the documents beside the function that sends them."""

from openapi.dialects import FACES
from openapi.document import FOLDER, write

for face in FACES:
    (FOLDER / face.file_name).write_text(write(face), encoding="utf-8")
