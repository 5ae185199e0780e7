"""Gets Princeton's WordNet 3.0 onto this machine:  python -m hsae.concepts.wordnet_data

Tried in this order, and the first that works wins: data that NLTK can already see; what Debian's packages
`wordnet-base` and `wordnet-sense-index` installed; NLTK's downloader; the two packages, downloaded and
unpacked without root. Debian leaves out `lexnames`, the list of 45 lexicographer files of lexnames(5WN),
without which NLTK reads nothing; it is completed here.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

FILES = ["cntlist.rev", "index.sense"] + [
    f"{kind}.{pos}" for kind in ("index", "data") for pos in ("noun", "verb", "adj", "adv")
]
FILES += [f"{pos}.exc" for pos in ("noun", "verb", "adj", "adv")]
NOUNS = (
    "Tops act animal artifact attribute body cognition communication event feeling food group location "
    "motive object person phenomenon plant possession process quantity relation shape state substance time"
)
VERBS = (
    "body change cognition communication competition consumption contact creation emotion motion perception "
    "possession social stative weather"
)
LEXNAMES = [
    ("adj.all", 3),
    ("adj.pert", 3),
    ("adv.all", 4),
    *((f"noun.{topic}", 1) for topic in NOUNS.split()),
    *((f"verb.{topic}", 2) for topic in VERBS.split()),
    ("adj.ppl", 3),
]


def data_home() -> Path:
    """Where downloaded data and tables parsed from it live, for every checkout of this user."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("HSAE_DATA") or Path(cache) / "hsae")


def nltk_folders() -> list[Path]:
    """Where NLTK's data may lie on this machine, those named by the user first."""
    named = [Path(p) for p in os.environ.get("NLTK_DATA", "").split(os.pathsep) if p]
    usual = [Path.home() / "nltk_data", Path(sys.prefix) / "nltk_data", Path("/usr/share/nltk_data")]
    return [*named, data_home() / "nltk_data", *usual]


def find() -> Path | None:
    """The NLTK data folder that holds a complete WordNet, if there is one."""
    for home in nltk_folders():
        if all((home / "corpora/wordnet" / file).is_file() for file in [*FILES, "lexnames"]):
            return home
    return None


def _adopt(source: Path) -> bool:
    """Copies WordNet's files from a folder into ours, atomically, and completes them."""
    if not all((source / file).is_file() for file in FILES):
        return False
    target = data_home() / "nltk_data/corpora/wordnet"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        fresh = Path(scratch) / "wordnet"
        fresh.mkdir()
        for file in FILES:
            shutil.copyfile(source / file, fresh / file)
        rows = (f"{number:02d}\t{name}\t{category}\n" for number, (name, category) in enumerate(LEXNAMES))
        (fresh / "lexnames").write_text("".join(rows))
        if not target.exists():
            fresh.rename(target)
    return True


def _from_nltk() -> bool:
    import nltk

    home = data_home() / "nltk_data"
    home.mkdir(parents=True, exist_ok=True)
    # it tells of a closed network at length, and the next way may well work
    got = nltk.download("wordnet", download_dir=str(home), quiet=True, print_error_to=StringIO())
    return bool(got) and (find() is not None or _unzip(home / "corpora/wordnet.zip"))


def _unzip(archive: Path) -> bool:
    if not archive.is_file():
        return False
    shutil.unpack_archive(archive, archive.parent)
    return find() is not None


def _from_debian() -> bool:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return False
    with tempfile.TemporaryDirectory() as scratch:
        packages = ["wordnet-base", "wordnet-sense-index"]
        got = subprocess.run(
            ["apt-get", "download", *packages], cwd=scratch, capture_output=True, check=False
        )
        if got.returncode != 0:
            return False
        for package in Path(scratch).glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), f"{scratch}/x"], check=True)
        return _adopt(Path(scratch) / "x/usr/share/wordnet")


def fetch() -> Path | None:
    """WordNet's NLTK data folder, fetched if need be; None where it cannot be had."""
    ways = (lambda: find() is not None, lambda: _adopt(Path("/usr/share/wordnet")), _from_nltk, _from_debian)
    for way in ways:
        if way() and (home := find()):
            return home
    return None


def main() -> int:
    home = fetch()
    if home is None:
        sys.stderr.write(
            "WordNet 3.0 could not be had: there is no copy on this machine, and NLTK's server and Debian's\n"
            "packages are out of reach.\n"
            "Unpack it yourself as <folder>/corpora/wordnet and set NLTK_DATA=<folder>.\n"
            "Until then use concepts=builtin; the quickstart does so by itself.\n"
        )
        return 1
    sys.stdout.write(f"WordNet 3.0: {home / 'corpora/wordnet'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
