"""Texts that try to leave their place: the corpus every view, page and chart must survive."""

from __future__ import annotations

from html.parser import HTMLParser

HOSTILE = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "\"><svg/onload=document.title='owned'>",
    "' onmouseover='document.title=1' x='",
    "</td></tr></table><script>document.title='owned'</script>",
    "</script><script>document.title='owned'</script>",
    "<!--<script>",
    "]]><!-- --!><script>document.title='owned'</script>",
    "<a href=\"javascript:document.title='owned'\">press</a>",
    "<a href=\"data:text/html,<script>alert(1)</script>\">press</a>",
    "javascript:alert(1)",
    "<style>*{display:none}</style>",
    "<p style=\"position:fixed;inset:0;background:red\">cover</p>",
    "</style><script>document.title='owned'</script>",
    "{{ 7 * 7 }}{% raw %}",
    "%{x}<extra>owned</extra>",
    "$\\href{javascript:alert(1)}{x}$",
    "<iframe srcdoc=\"<script>parent.document.title='owned'</script>\"></iframe>",
    "<form action=http://127.0.0.1:9/><input name=token></form>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "<base href=http://127.0.0.1:9/>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "\u202egnp.exe\u2028\u0000end",
    "a" * 5000,
)

URL_ATTRIBUTES = ("href", "src", "action", "formaction", "data", "poster", "srcset", "xlink:href")


class Seen(HTMLParser):
    """Every start tag with its attributes, and the text of each script element."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[tuple[dict[str, str], str]] = []
        self.text = ""
        self._open: str | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember the tag."""
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        self._open = tag
        if tag == "script":
            self.scripts.append((given, ""))

    def handle_endtag(self, tag: str) -> None:
        """Text that follows belongs to no script."""
        self._open = None

    def handle_data(self, data: str) -> None:
        """Collect text, that of scripts apart."""
        if self._open == "script":
            attributes, before = self.scripts[-1]
            self.scripts[-1] = (attributes, before + data)
        elif self._open != "style":
            self.text += data

    def names(self) -> set[str]:
        """The tags that occur."""
        return {tag for tag, _ in self.tags}

    def live(self) -> list[str]:
        """What could act: event handlers, inline styles, and addresses of other schemes or places."""
        found = []
        for tag, attributes in self.tags:
            found += [f"{tag} {name}" for name in attributes if name.startswith("on") or name in ("style", "srcdoc")]
            found += [f"{tag} {name}={attributes[name]}" for name in URL_ATTRIBUTES
                      if ":" in attributes.get(name, "") and not attributes[name].startswith("data:image/png;base64,")]
        return found
