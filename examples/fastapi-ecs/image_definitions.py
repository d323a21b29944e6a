"""Write the file that says which image the container `web` runs, by its digest."""

import json
import os
from pathlib import Path

images = [{"name": "web", "imageUri": os.environ["IMAGE"]}]
Path("imagedefinitions.json").write_text(json.dumps(images))
