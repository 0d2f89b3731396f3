"""What a trainer needs beside the data: its config, its tools, and the command that starts it."""

from pathlib import Path

from gog.pipelines.facts import CardFacts
from gog.transforms.episode.machine import EpisodeSettings
from gog.transforms.exports.target import Target


def write_recipe(folder: Path, target: Target, facts: CardFacts, episode: EpisodeSettings) -> None:
    """Write the files of a format's recipe into an export's folder."""
