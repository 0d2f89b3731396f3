"""`gog`, and `python -m gog`: Ctrl-C is one line from the first moment on, also while the command line is imported."""

import os


def main() -> None:
    """Run what the command line says, and exit with its code."""
    try:
        from gog.pipelines.cli.main import main as run

        run()
    except KeyboardInterrupt:
        os.write(2, b"gog: stopped; what was finished is kept, the same command goes on\n")
        os._exit(130)


if __name__ == "__main__":
    main()
