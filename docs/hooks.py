"""What mkdocs does to the pages so that the same files read well on the site and in the repository.

- The front page is the README; `CONTRIBUTING.md` and `CHANGELOG.md` are pages, too.
- A link to code goes to the API pages, or becomes plain text where they do not have it.
- `<!-- every choice of merger -->` becomes a table of the files in `conf/merger`, so that no page lists them by hand.
"""

import os.path
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGES_OF_ROOT = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)")
_CHOICES = re.compile(r"<!-- every choice of (\w+) -->")


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages that lie at the top of the repository."""
    from mkdocs.structure.files import File

    for name, uri in PAGES_OF_ROOT.items():
        if uri != "index.md":
            files.append(File.generated(config, uri, content=(ROOT / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Rewrites links out of `docs/`, and fills in lists of choices."""
    uri = page.file.src_uri
    source = next((name for name, made in PAGES_OF_ROOT.items() if made == uri), f"docs/{uri}")
    if source == "README.md":
        markdown = (ROOT / source).read_text(encoding="utf-8")
    rooms = {Path(path).stem for path in (ROOT / "docs" / "api").glob("*.md")}
    return choices_filled_in(links_for_site(markdown, source, uri, rooms))


def links_for_site(markdown: str, source: str, uri: str, rooms: set[str]) -> str:
    """Links of a file of the repository as they have to be on the site.

    Args:
        markdown: The file's text.
        source: Its path from the top of the repository.
        uri: Its path on the site.
        rooms: Packages below `cl_bench` that have an API page.
    """

    def rewritten(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        path = os.path.normpath(os.path.join(os.path.dirname(source), target))
        parts = Path(path).with_suffix("").parts
        if path in PAGES_OF_ROOT or (parts[0] == "docs" and not target.endswith("/")):
            place = PAGES_OF_ROOT.get(path, path.removeprefix("docs/"))
            return f"[{text}]({os.path.relpath(place, os.path.dirname(uri) or '.')}{anchor})"
        if parts[0] == "cl_bench" and parts[1:2] and parts[1] in rooms and (path.endswith(".py") or len(parts) == 2):
            return f"[{text}][{'.'.join(part for part in parts if part != '__init__')}]"
        return text

    pictures = re.sub(r"(!\[[^\]]*\]\()docs/", r"\1", markdown) if uri == "index.md" else markdown
    return _LINK.sub(rewritten, pictures)


def choices_filled_in(markdown: str) -> str:
    """Puts tables where a page asks for every choice of a group."""
    return _CHOICES.sub(lambda match: table_of_choices(match[1]), markdown)


def table_of_choices(group: str) -> str:
    """Each file of `conf/<group>` and what its first comment says."""
    lines = [f"| `{group}=` | |", "| --- | --- |"]
    lines += [f"| `{path.stem}` | {_first_comment(path)} |" for path in sorted((ROOT / "conf" / group).glob("*.yaml"))]
    return "\n".join(lines)


def _first_comment(path: Path) -> str:
    """The comment that the file begins with, without Hydra's `@package`."""
    comment = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# "))
    return " ".join(line for line in comment if not line.startswith("@package")).replace("|", "\\|")
