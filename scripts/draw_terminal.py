"""Draws docs/images/terminal.svg: the live view as it stands after a minute of a real demo run."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from rich.console import Console

from campaigns.demo_data import CONFIG
from cti.figures import CampaignSnapshot
from dialer import logs
from dialer.cli import new_loop
from dialer.demo import Demo, DemoOptions
from dialer.live_view import LiveView

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "terminal.svg"
SNAPSHOTS = 75  # one a second; those of the drain are left out
WIDTH = 100  # columns
LINKS = (
    ("a seat's page", "http://127.0.0.1:8080/   as lina or tom, password zhudong-demo"),
    ("status page", "http://127.0.0.1:8080/status   as chen, password zhudong-demo"),
    ("metrics", "http://127.0.0.1:9464/metrics"),
)


class Watched(Demo):
    """A demo whose snapshots go into a picture as well."""

    view = LiveView(LINKS)
    taken = 0

    def _take(self, snapshot: CampaignSnapshot) -> None:
        super()._take(snapshot)
        self.taken += 1
        if self.taken <= SNAPSHOTS:
            self.view.take(snapshot)


def draw() -> None:
    """Run the demo quietly and draw what its terminal would have shown."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w") as log:
        logs.configure(log, people=True)
        options = DemoOptions(duration_s=SNAPSHOTS + 1)
        demo = Watched(options, CONFIG, Path(folder), Console(file=io.StringIO()), live=False)
        new_loop(demo.run())
    picture = Console(file=io.StringIO(), record=True, width=WIDTH, force_terminal=True)
    picture.print(demo.view)
    picture.save_svg(str(PICTURE), title="dialer demo")


if __name__ == "__main__":
    draw()
