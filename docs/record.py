#!/usr/bin/env python3
"""Turns what a command prints on a terminal into a picture (SVG).

  docs/record.py -o docs/bootstrap.svg -- stead bootstrap stacks/talos-proxmox --lab    runs it on a terminal of its own
  docs/record.py -o picture.svg < log                                                   takes a log with colours (ANSI)

--from REGEX begins at the first line that matches, --until REGEX ends before the next one that matches after it, --head N and
--tail N keep so many lines of the beginning and the end. What is left out between them is marked. --log FILE keeps what
the terminal received. Only Python's standard library is needed.
"""
import argparse
import html
import os
import pty
import re
import struct
import sys
import termios
import unicodedata
from fcntl import ioctl

BACKGROUND, FOREGROUND = "#16181d", "#d7dae0"
NORMAL = ["#3b4048", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d7dae0"]
BRIGHT = ["#7f848e", "#f08d95", "#b5e890", "#f5d99a", "#8cc7ff", "#dc9bf0", "#7fd5df", "#ffffff"]
# Either a control sequence, an operating system command, or another escape.
ESCAPE = re.compile(r"\x1b(?:\[([0-9;?]*)([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_]|[()][A-Z0-9])")
WIDTH, HEIGHT, SIZE, MARGIN = 8.4, 19, 14, 16


class Style:
    """How a character looks; immutable once in a cell."""

    __slots__ = ("colour", "bold", "dim", "italic", "underline")

    def __init__(self, colour=None, bold=False, dim=False, italic=False, underline=False):
        self.colour, self.bold, self.dim, self.italic, self.underline = colour, bold, dim, italic, underline

    def key(self):
        return (self.colour, self.bold, self.dim, self.italic, self.underline)

    def having(self, **changes):
        return Style(**{**{name: getattr(self, name) for name in self.__slots__}, **changes})


def palette(n):
    """Colour n of 256."""
    if n < 8:
        return NORMAL[n]
    if n < 16:
        return BRIGHT[n - 8]
    if n < 232:
        steps = [0, 95, 135, 175, 215, 255]
        n -= 16
        return "#%02x%02x%02x" % (steps[n // 36], steps[n // 6 % 6], steps[n % 6])
    level = 8 + (n - 232) * 10
    return "#%02x%02x%02x" % (level, level, level)


def restyled(style, text):
    """The style after an SGR sequence."""
    codes = [int(c or 0) for c in text.split(";")]
    while codes:
        code = codes.pop(0)
        if code == 0:
            style = Style()
        elif code == 1:
            style = style.having(bold=True)
        elif code == 2:
            style = style.having(dim=True)
        elif code == 3:
            style = style.having(italic=True)
        elif code == 4:
            style = style.having(underline=True)
        elif code == 22:
            style = style.having(bold=False, dim=False)
        elif code == 23:
            style = style.having(italic=False)
        elif code == 24:
            style = style.having(underline=False)
        elif 30 <= code <= 37:
            style = style.having(colour=NORMAL[code - 30])
        elif 90 <= code <= 97:
            style = style.having(colour=BRIGHT[code - 90])
        elif code == 39:
            style = style.having(colour=None)
        elif code in (38, 48) and codes[:1] == [5] and len(codes) > 1:
            if code == 38:
                style = style.having(colour=palette(codes[1] & 255))
            del codes[:2]
        elif code in (38, 48) and codes[:1] == [2] and len(codes) > 3:
            if code == 38:
                style = style.having(colour="#%02x%02x%02x" % tuple(c & 255 for c in codes[1:4]))
            del codes[:4]
    return style


class Screen:
    """A terminal whose lines never scroll away."""

    def __init__(self, columns):
        self.columns, self.lines, self.row, self.column, self.style = columns, [[]], 0, 0, Style()

    def feed(self, text):
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                match = ESCAPE.match(text, at)
                if match:
                    self.control(match[1] or "", match[2] or "")
                    at = match.end()
                    continue
            else:
                self.put(text[at])
            at += 1

    def put(self, c):
        if c == "\n":
            self.row, self.column = self.row + 1, 0
        elif c == "\r":
            self.column = 0
        elif c == "\t":
            self.column = (self.column // 8 + 1) * 8
        elif c == "\b":
            self.column = max(0, self.column - 1)
        elif c >= " ":
            width = 0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
            if self.column + width > self.columns:
                self.row, self.column = self.row + 1, 0
            line = self.line()
            line.extend([(" ", Style())] * (self.column + max(width, 1) - len(line)))
            if width == 0:
                before = max(0, self.column - 1)
                line[before] = (line[before][0] + c, line[before][1])
            else:
                line[self.column] = (c, self.style)
                if width == 2:
                    line[self.column + 1] = ("", self.style)
            self.column += width
        while self.row >= len(self.lines):
            self.lines.append([])

    def line(self):
        while self.row >= len(self.lines):
            self.lines.append([])
        return self.lines[self.row]

    def control(self, parameters, final):
        if parameters.startswith("?"):
            return
        number = int(parameters.split(";")[0] or 0) if final != "m" else 0
        if final == "m":
            self.style = restyled(self.style, parameters)
        elif final == "A":
            self.row = max(0, self.row - max(1, number))
        elif final == "B":
            self.row += max(1, number)
        elif final == "C":
            self.column += max(1, number)
        elif final == "D":
            self.column = max(0, self.column - max(1, number))
        elif final == "G":
            self.column = max(0, number - 1)
        elif final == "K":
            line = self.line()
            if number == 0:
                del line[self.column :]
            elif number == 2:
                line.clear()
            else:
                line[: self.column] = [(" ", Style())] * min(self.column, len(line))
        elif final == "J" and number == 0:
            del self.line()[self.column :]
            del self.lines[self.row + 1 :]


def plain(line):
    return "".join(c for c, _ in line)


def chosen(lines, options):
    """The lines that the picture shows."""
    while lines and not plain(lines[-1]).strip():
        lines = lines[:-1]
    if options.begin:
        start = next((i for i, line in enumerate(lines) if re.search(options.begin, plain(line))), None)
        if start is None:
            sys.exit(f"no line matches {options.begin}")
        lines = lines[start:]
    if options.until:
        end = next((i for i, line in enumerate(lines[1:], 1) if re.search(options.until, plain(line))), len(lines))
        lines = lines[:end]
    head, tail = options.head, options.tail
    if head is None and tail is None:
        return lines
    head, tail = head or 0, tail or 0
    if len(lines) <= head + tail:
        return lines
    mark = [(c, Style(dim=True)) for c in f"… {len(lines) - head - tail} lines …"]
    return lines[:head] + [mark] + (lines[-tail:] if tail else [])


def runs(line):
    """Stretches of one style: (column, text, style)."""
    found = []
    end = len(line)
    while end and not line[end - 1][0].strip() and not line[end - 1][1].underline:
        end -= 1
    for column, (c, style) in enumerate(line[:end]):
        if found and found[-1][2].key() == style.key():
            found[-1][1].append(c)
        else:
            found.append((column, [c], style))
    return [(column, "".join(text), style) for column, text, style in found]


def attributes(style):
    parts = []
    if style.colour:
        parts.append(f'fill="{style.colour}"')
    if style.bold:
        parts.append('font-weight="bold"')
    if style.dim:
        parts.append('opacity="0.6"')
    if style.italic:
        parts.append('font-style="italic"')
    if style.underline:
        parts.append('text-decoration="underline"')
    return "".join(" " + part for part in parts)


def svg(lines, columns, title):
    width = columns * WIDTH + 2 * MARGIN
    height = len(lines) * HEIGHT + 2 * MARGIN + 24
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-label="{html.escape(title)}">',
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
    ]
    for i, colour in enumerate(["#e06c75", "#e5c07b", "#98c379"]):
        out.append(f'<circle cx="{MARGIN + 6 + 20 * i}" cy="16" r="6" fill="{colour}"/>')
    out.append(
        f'<text x="50%" y="21" text-anchor="middle" fill="#7f848e" font-family="sans-serif" font-size="13">{html.escape(title)}</text>'
    )
    out.append(
        f'<g fill="{FOREGROUND}" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace" '
        f'font-size="{SIZE}" xml:space="preserve">'
    )
    for row, line in enumerate(lines):
        y = MARGIN + 24 + row * HEIGHT + SIZE
        for column, text, style in runs(line):
            if not text.strip():
                continue
            # The length is fixed, so that columns stand in line whichever font is there.
            out.append(
                f'<text x="{MARGIN + column * WIDTH:.1f}" y="{y}" textLength="{len(text) * WIDTH:.1f}" '
                f'lengthAdjust="spacing"{attributes(style)}>{html.escape(text)}</text>'
            )
    out += ["</g>", "</svg>"]
    return "\n".join(out) + "\n"


def recorded(command, columns, rows):
    """What the command writes to a terminal of its own, and its exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.pop("NO_COLOR", None)
        os.environ["TERM"] = "xterm-256color"
        try:
            os.execvp(command[0], command)
        except OSError as error:
            print(f"{command[0]}: {error.strerror}")
            os._exit(127)
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    output = bytearray()
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        output += part
    return bytes(output), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--columns", type=int, default=110)
    parser.add_argument("--rows", type=int, default=50)
    parser.add_argument("--from", dest="begin", metavar="REGEX")
    parser.add_argument("--until", metavar="REGEX")
    parser.add_argument("--head", type=int)
    parser.add_argument("--tail", type=int)
    parser.add_argument("--title", help="default: the command")
    parser.add_argument("--log", help="also keep the raw output here")
    parser.add_argument("command", nargs="*", metavar="-- COMMAND")
    options = parser.parse_args()
    code = 0
    if options.command:
        raw, code = recorded(options.command, options.columns, options.rows)
    else:
        raw = sys.stdin.buffer.read()
    if options.log:
        with open(options.log, "wb") as log:
            log.write(raw)
    screen = Screen(options.columns)
    screen.feed(raw.decode("utf-8", "replace"))
    lines = chosen(screen.lines, options)
    title = options.title or " ".join(options.command) or "stead"
    with open(options.output, "w", encoding="utf-8") as picture:
        picture.write(svg(lines, options.columns, title))
    print(f"{options.output}: {len(lines)} of {len(screen.lines)} lines")
    sys.exit(code)


if __name__ == "__main__":
    main()
