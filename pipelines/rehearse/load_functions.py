"""A program that loads the functions of a job as a worker does: JSON of names and pickles on standard input.

Only ever given what the process that starts it has pickled.
"""

import json
import sys

from apache_beam.internal import pickler


def main() -> int:
    """1 where one cannot be loaded; its name and error on standard error."""
    for name, data in json.load(sys.stdin).items():
        try:
            pickler.loads(data.encode("latin-1"))
        except Exception as error:  # whatever loading raises
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
