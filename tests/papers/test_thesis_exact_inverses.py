"""Items of the thesis on exact inverses, at small sizes."""

import numpy as np
import pytest

from papers.pictures import check_pictures
from targetprop.experiments.item import Options
from targetprop.papers.thesis2019.block_diagonal import CHUNK, BlockDiagonal
from targetprop.papers.thesis2019.sherman_morrison import Singularity, SingularityFigure


def nothing(steps: int) -> None:
    pass


def test_the_robust_update_keeps_away_from_singular_weights():
    """Where `beta` shortens the step the denominator is at least a fifth of the threshold, `0.1 /
    1.2`.
    """
    found = Singularity(size=3, trials=4000, threshold=0.1, condition=0.4).run([0], nothing)[0]
    plain, robust = np.array(found["plain"]), np.array(found["robust"])
    low = np.array(found["denominator"]) < 0.1
    assert low.sum() > 20
    np.testing.assert_allclose(plain[~low], robust[~low], atol=2e-4)
    assert found["smallest"]["robust"] > 10 * found["smallest"]["plain"]
    assert found["log_correlation"] > 0.7


def test_two_equal_blocks_share_the_step():
    """With one hidden layer there is nothing beside the diagonal; with many samples little of it
    is left.
    """
    angle = {
        (hidden, batch): BlockDiagonal(width=3, hidden=hidden, batch=batch, trials=CHUNK).run([0], nothing)[0]["angle"]
        for hidden, batch in ((1, 1), (2, 1), (2, 50))
    }
    assert angle[1, 1] == pytest.approx(0, abs=1e-3)
    assert angle[2, 50] < angle[2, 1]


def test_the_report_has_the_published_number_and_a_picture(tmp_path):
    item, options = SingularityFigure(), Options(seeds=1, results=tmp_path)
    assert not item.report(options).pictures
    part = item.parts(options)[0]
    assert part.run([0], progress=False)
    assert part.missing(1) == []
    report = item.report(options)
    assert report.cells[0]["published"]["mean"] == 0.80
    assert report.cells[0]["ours"]["mean"] == pytest.approx(0.80, abs=0.05)
    check_pictures(report)
