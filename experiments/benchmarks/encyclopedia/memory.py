"""Peak memory of stage raw with few concepts and with many, each in a process of its own.

python -m experiments.benchmarks.encyclopedia.memory taxonomy|raw CONCEPTS.jsonl FOLDER
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from experiments.benchmarks.process import peak_of, peak_of_this
from experiments.benchmarks.rounds import Ratio
from experiments.benchmarks.rows import Row
from hsae.concepts import Taxonomy
from hsae.encyclopedia.encyclopedia import read_taxonomy, write_taxonomy


def measure(few: Taxonomy, many: Taxonomy, *, scratch: Path) -> Iterator[Row]:
    """Peaks with many concepts over those with few: of the concepts alone, which are all in memory; of the
    stage; and of the stage without what the concepts themselves grew by (1.1 at most)."""
    found = {}
    with TemporaryDirectory(dir=scratch) as folder:
        for taxonomy in (few, many):
            path = Path(folder) / f"{len(taxonomy)}.jsonl"
            write_taxonomy(taxonomy, path)
            for what in ("taxonomy", "raw"):
                place = Path(folder) / f"{len(taxonomy)}-{what}"
                place.mkdir()
                found[what, len(taxonomy)] = peak_of(
                    "experiments.benchmarks.encyclopedia.memory", what, str(path), str(place)
                )
    growth = found["taxonomy", len(many)] - found["taxonomy", len(few)]
    for what, less, asked in (("taxonomy", 0, None), ("raw", 0, None), ("raw", growth, 1.1)):
        bare = {"taxonomy": "the concepts alone", "raw": "stage raw"}[what]
        named = f"{bare} less the {growth / 1e6:,.0f} MB that the concepts grew by" if less else bare
        large, small = found[what, len(many)] - less, found[what, len(few)]
        ratio = Ratio(large / small, large / small, large / small, 1)
        said = [f"{len(many):,} concepts, {named}: {large / 1e6:,.0f} MB"]
        said += [f"{len(few):,} concepts: {small / 1e6:,.0f} MB"]
        yield Row("memory", "tiny", said[0], said[1], ratio, asked, most=True)


def main(what: str, path: Path, folder: Path) -> int:
    """The work; the peak of this process in bytes."""
    from experiments.benchmarks.encyclopedia.subject import read_raw, tiny

    taxonomy, subject = read_taxonomy(path), tiny()
    if what == "raw":
        read_raw(subject, taxonomy, folder)
    return peak_of_this()


if __name__ == "__main__":
    sys.stdout.write(f"{main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))}\n")
