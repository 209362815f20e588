"""One folder per paper: its recipes, its published numbers, and the tables and figures that can be made again.

Importing this room registers the papers; each is loaded when it is asked for.
"""

from ..experiments.sources import register

PAPERS = ("meulemans2020", "gait2020", "thesis2019", "farias2018")

for _paper in PAPERS:
    register(_paper, f"{__name__}.{_paper}.recipes", gives_defaults=_paper == "meulemans2020")
