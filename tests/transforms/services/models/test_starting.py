"""Servers that start, as progress shows them."""

import pytest

from gog.transforms.services.models.starting import starting, starts


def test_a_start_is_told_of_until_it_is_over() -> None:
    assert starts() == ""
    with starting("vllm:one") as one, starting("vllm:other") as other:
        assert starts() == "vllm:one is starting, 0 s: its log is empty; vllm:other is starting, 0 s: its log is empty"
        one.seconds, one.said = 40.2, "Loading weights"
        other.seconds = 2.0
        assert starts().startswith("vllm:one is starting, 40 s: Loading weights; vllm:other is starting, 2 s: ")
    with pytest.raises(ValueError, match="no"), starting("vllm:one"):
        raise ValueError("no")
    assert starts() == ""
