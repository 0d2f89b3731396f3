"""The drawn seeds of `bench_duplicates.py`: as many leave as repeat an earlier one."""

from bench.bench_duplicates import decided, drawn, no_file, shard_of

from gog.schemas import Reject
from gog.transforms.duplicates.pictures import Pictures
from gog.transforms.ingest.duplicates import Duplicates

SEEDS = 600


def test_what_repeats_an_earlier_one_leaves_and_nothing_else() -> None:
    known, pictures, asked, ids = Duplicates(), Pictures(no_file), set[tuple[int, str]](), set[int]()
    expected = []
    for one in map(drawn, range(SEEDS)):
        again = (one.picture, one.question) in asked or one.source_id in ids
        expected.append(again)
        if not again:
            asked.add((one.picture, one.question))
            ids.add(one.source_id)
    shards = shard_of(0, 350), shard_of(350, SEEDS - 350)
    found = [record for rows in shards for record in decided(known, pictures, rows)]
    assert [isinstance(record, Reject) for record in found] == expected
    assert 8 < sum(expected) < SEEDS / 10
