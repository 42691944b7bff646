"""Names the tests of what changed since the branch left main, committed or not, as arguments of `cargo test --workspace`.

Not as packages: Cargo would resolve the features of these alone, and compile the AWS SDKs again for each choice of packages.
Packages and tests that are named as arguments are left out.
"""

import json
import subprocess
import sys
from pathlib import Path


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout


def changed_files():
    base = output("git", "merge-base", "HEAD", "main").strip() or "HEAD"
    listed = output("git", "diff", "--name-only", base), output("git", "ls-files", "--others", "--exclude-standard")
    return [Path.cwd() / file for file in "".join(listed).splitlines()]


def targets(without):
    packages = json.loads(output("cargo", "metadata", "--no-deps", "--format-version", "1"))["packages"]
    by_folder = {Path(package["manifest_path"]).parent: package for package in packages}
    # The innermost package counts: benches/scale is not a part of benches.
    folders = {next(filter(by_folder.get, file.parents), None) for file in changed_files()}
    changed = [package for folder, package in by_folder.items() if folder in folders and package["name"] not in without]
    for target in (target for package in changed for target in package["targets"] if target["name"] not in without):
        yield {"lib": "--lib", "bin": f"--bin {target['name']}", "test": f"--test {target['name']}"}.get(target["kind"][0], "")


print(*sorted({*targets({*sys.argv[1:]})} - {""}))
