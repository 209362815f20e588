"""What holds for the pictures of all items."""

from collections.abc import Sequence

from targetprop.experiments import Report


def check_pictures(report: Report, names: Sequence[str] = ("",), most: int = 6) -> None:
    """The names of the pictures, few panels, labels of the axes, the number of seeds."""
    assert [picture.name for picture in report.pictures] == list(names)
    for picture in report.pictures:
        figure = picture.draw()
        panels = [axes for axes in figure.axes if axes.get_visible()]
        assert 0 < len(panels) <= most
        assert figure.get_figwidth() <= 11, "on a page, letters get smaller than they can be read"
        for axes in panels:
            place = axes.get_subplotspec()
            assert any(other.get_ylabel() for other in panels if other.get_subplotspec().rowspan == place.rowspan)
            assert any(other.get_xlabel() for other in panels if other.get_subplotspec().colspan == place.colspan)
        texts = [*figure.texts, *(legend.get_title() for legend in figure.legends)]
        said = " ".join(text.get_text() for text in texts)
        assert any(word in said for word in ("seed", "random networks", "nothing is random"))
