"""Runs the command line on a small disk, then on a large or a read-only one. For `unshare -Urm`: the mount is its own.

    python mounted.py FOLDER SIZE CHANGE ARGUMENTS...

Mounts a RAM disk of SIZE at FOLDER, runs `gog ARGUMENTS`, remounts it with CHANGE, runs it again, and prints what
came of each as a line of JSON. What is on the disk at the end is copied to FOLDER.kept.
"""

import json
import shutil
import subprocess
import sys


def main() -> None:
    folder, size, change, *arguments = sys.argv[1:]
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    for remount in (change, ""):
        command = [sys.executable, "-m", "gog.pipelines.cli.main", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(json.dumps({"code": done.returncode, "out": done.stdout, "err": done.stderr}))
        if remount:
            subprocess.run(["mount", "-o", f"remount,{remount}", folder], check=True)
    shutil.copytree(folder, f"{folder}.kept")


if __name__ == "__main__":
    main()
