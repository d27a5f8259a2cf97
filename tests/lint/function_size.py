#!/usr/bin/env python3
"""Functions of src/ longer than the given number of lines. Relies on the enforced format: a body
starts with "{" in the first column and ends with "}" there."""
import pathlib
import sys


def main():
    limit, bad = int(sys.argv[1]), 0
    for path in sorted(pathlib.Path("src").glob("*/*.c")):
        start = None
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line == "{":
                start = number
            elif line == "}" and start:
                if number - start > limit:
                    print(f"{path}:{start}: a function of {number - start} lines ({limit} at most)")
                    bad = 1
                start = None
    return bad


if __name__ == "__main__":
    sys.exit(main())
