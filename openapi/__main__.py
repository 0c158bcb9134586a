"""`python -m openapi`: writes the documents beside the function that sends them."""

from openapi.document import FOLDER, write
from openapi.faces import FACES

for face in FACES:
    (FOLDER / face.file_name).write_text(write(face), encoding="utf-8")
