"""A phone that is not there: an `adb` in the shape of Google's, whose phone is a folder and this machine's shell.

What it says was written after adb's sources and documentation, and after logs of benchmark_model on phones; it was
never recorded from one of ours.
"""

import os
import sys
from pathlib import Path

import pytest
from fake_packages import install

__all__ = ["LITERT", "FakePhone"]

ADB = """#!/bin/sh
PHONE={phone}
echo "$@" >>$PHONE/calls
if [ "$1" = devices ]; then cat $PHONE/devices; exit 0; fi
serial=$2
shift 2
if [ -f $PHONE/gone ]; then echo "adb: device '$serial' not found" >&2; exit 1; fi
if [ -f $PHONE/hangs ]; then exec sleep 60; fi
at() {{ printf '%s' "$1" | sed "s#/data/local/tmp#$PHONE/tmp#g; s#/sys/class/power_supply#$PHONE/supplies#g"; }}
case $1 in
shell)
  case "$2" in *min_secs=[1-9.]*) if [ -f $PHONE/cut ]; then touch $PHONE/gone; echo "1.00 STARTING!"; exit 0; fi;; esac
  PATH=$PHONE/bin:$PATH exec sh -c "$(at "$2")";;
push)
  cp "$2" "$(at "$3")" && echo "$2: 1 file pushed, 0 skipped. 35.9 MB/s";;
pull)
  remote=$(at "$2")
  [ -f "$remote" ] || {{ echo "adb: error: failed to stat remote object '$2': No such file or directory"; exit 1; }}
  cp "$remote" "$3" && echo "$2: 1 file pulled, 0 skipped. 30.1 MB/s";;
esac
"""

TOOL = """#!{python}
import array, hashlib, os, pathlib, subprocess, sys, time

flags = dict(word[2:].split("=", 1) for word in sys.argv[1:])
mode = pathlib.Path({phone!r}, "mode").read_text()
old = mode == "old"
level = "" if old else "INFO: "

def say(text, level=level):
    print(level + text, file=sys.stderr, flush=True)

def outputs(path):
    data = pathlib.Path(flags["input_layer_value_files"].split(":")[1]).read_bytes()
    asked = hashlib.sha256(data + pathlib.Path(flags["graph"]).read_bytes()).hexdigest()
    kept = pathlib.Path({cache!r}, f"computed-{{asked}}")
    if not kept.exists():
        code = pathlib.Path({phone!r}, "compute.py")
        subprocess.run([sys.executable, code, flags["graph"], flags["input_layer_shape"], kept], input=data, check=True)
    pathlib.Path(path).write_bytes(kept.read_bytes())

def executions(runs, seconds):
    say(f"Running benchmark for at least {{runs}} iterations and at least {{seconds:g}} seconds but "
        f"terminate if exceeding {{float(flags['max_secs']):g}} seconds.")
    time.sleep(seconds)
    count = max(runs, int(seconds / 0.01))
    if count == 0:
        say("count=0\\n")
    elif count == 1:
        say("count=1 curr=9993\\n")
    else:
        more = "" if old else " p5=9931 median=9990 p95=10020"
        say(f"count={{count}} first=10411 curr=9987 min=9917 max=10502 avg=9993.2 std=48{{more}}\\n")

say("STARTING!")
if mode == "garbled":
    print("\\ufffd\\ufffd nothing of use")
    sys.exit(0)
if old and "output_filepath" in flags:
    say("Unconsumed cmdline flags: --output_filepath=" + flags["output_filepath"])
say(f"Graph: [{{flags['graph']}}]")
say(f"Loaded model {{flags['graph']}}")
if mode == "fails":
    say("tensorflow/lite/kernels/batch_matmul.cc:353 lhs_data->type == rhs_data->type was not true.", "ERROR: ")
    say("Node number 57 (BATCH_MATMUL) failed to prepare.", "ERROR: ")
    say("Failed to allocate tensors!", "ERROR: ")
    say("Benchmarking failed.", "ERROR: ")
    sys.exit(1)
if "use_gpu" in flags and mode != "silent":
    took = {{"whole": 57, "partial": 31, "nothing": 0}}.get(mode, 57)
    if took:
        say(f"Replacing {{took}} out of 57 node(s) with delegate (TfLiteGpuDelegateV2) node, yielding 3 partitions for "
            "subgraph 0.", "VERBOSE: ")
    words = {{57: "Explicitly applied GPU delegate, and the model graph will be completely executed by the delegate.",
             31: "Explicitly applied GPU delegate, and the model graph will be partially executed by the delegate w/ 2 "
                 "delegate kernels.",
             0: "Though GPU delegate is explicitly applied, the model graph will not be executed by the delegate."}}
    say(words[took])
elif "use_gpu" not in flags:
    say("Replacing 55 out of 57 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 3 partitions for "
        "subgraph 0.", "VERBOSE: ")
    say("Explicitly applied XNNPACK delegate, and the model graph will be partially executed by the delegate w/ 2 "
        "delegate kernels.")
say("The input model file size (MB): 0.5")
say("Initialized session in 119.515ms.")
executions(int(flags["warmup_runs"]), float(flags["warmup_min_secs"]))
executions(int(flags["num_runs"]), float(flags["min_secs"]))
if old:
    say("Average inference timings in us: Warmup: 10100, Init: 119515, no stats: 9993.2")
else:
    say("Inference timings in us: Init: 119515, First inference: 10411, Warmup (avg): 10100, Inference (avg): 9993.2")
    say("Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual "
        "memory footprint of the model at runtime. Take the information at your discretion.")
    say("Memory footprint delta from the start of the tool (MB): init=55.4961 overall=55.4961")
if "output_filepath" in flags and not old:
    outputs(flags["output_filepath"])
"""
"""What benchmark_model prints, in the words of its sources; its "model" is what the stand-in of litert-torch wrote."""

COMPUTE = """
import sys, numpy, torch
shape = [int(n) for n in sys.argv[2].split(",")]
inputs = torch.from_numpy(numpy.frombuffer(sys.stdin.buffer.read(), numpy.int32).reshape(shape).copy())
found = torch.jit.load(sys.argv[1])(inputs)
open(sys.argv[3], "wb").write(b"".join(value.numpy().astype(numpy.float32).tobytes() for value in found))
"""

LITERT = """
import torch

class Converted:
    def __init__(self, module, example):
        self.module, self.example = module, example

    def export(self, path):
        torch.jit.trace(self.module, self.example).save(path)

def convert(module, example):
    return Converted(module, example)
"""
"""A stand-in of litert-torch that keeps a model as torch's own, which the stand-in of the tool computes."""

PROPERTIES = {
    "ro.product.manufacturer": "Google",
    "ro.product.model": "Pixel 9",
    "ro.soc.manufacturer": "Google",
    "ro.soc.model": "Tensor G4",
    "ro.build.version.release": "16",
    "ro.product.cpu.abi": "arm64-v8a",
    "ro.boot.qemu": "",
}

SERIAL = "0123456789ABCDEF"
ONE = f"List of devices attached\n{SERIAL}       device usb:1-4 product:tokay model:Pixel_9 transport_id:3\n\n"


class FakePhone:
    """A phone in a folder, with its adb, its tool, its battery and its faults; `environment` leads to it.

    `cache` keeps models and what the phone computed, for other phones too.
    """

    def __init__(self, folder: Path, cache: Path | None = None) -> None:
        self.cache = cache or folder / "cache"
        self.cache.mkdir(exist_ok=True)
        self.folder = folder / "phone"
        for place in ("bin", "tmp", "supplies/battery", "supplies/usb"):
            (self.folder / place).mkdir(parents=True)
        self.adb, self.tool, self.site = self.folder / "adb", self.folder / "tool", folder / "site"
        self.site.mkdir()
        self.script(self.adb, ADB.format(phone=self.folder))
        self.script(self.tool, TOOL.format(python=sys.executable, phone=str(self.folder), cache=str(self.cache)))
        (self.folder / "compute.py").write_text(COMPUTE)
        cases = "\n".join(f"{name}) echo '{value}';;" for name, value in PROPERTIES.items())
        self.script(self.folder / "bin/getprop", f"#!/bin/sh\ncase $1 in\n{cases}\nesac\n")
        self.shows_thermal(0)
        self.set_mode("whole")
        self.lists(ONE)
        self.has_battery("Discharging", current=-412000, voltage=3987000)
        for name, version, code in (
            ("litert-torch", "0.10.0", LITERT),
            ("ai-edge-litert", "2.3.0", ""),
            ("litert-converter", "0.1.0", ""),
        ):
            install(self.site, name, version, code)

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables by which wattbench finds the phone, and Python the stand-in of litert-torch."""
        return {
            "WATTBENCH_ADB": str(self.adb),
            "WATTBENCH_BENCHMARK_MODEL": str(self.tool),
            "PYTHONPATH": str(self.site),
            "WATTBENCH_CACHE": str(self.cache),
        }

    def enter(self, patch: pytest.MonkeyPatch) -> None:
        """Let this process reach the phone."""
        for name, value in self.environment.items():
            patch.setenv(name, value)
        patch.syspath_prepend(self.site)
        patch.delenv("ANDROID_SERIAL", raising=False)

    def script(self, path: Path, text: str) -> None:
        """Put a program there."""
        path.write_text(text)
        path.chmod(0o755)

    def set_mode(self, mode: str) -> None:
        """Choose how the tool behaves."""
        (self.folder / "mode").write_text(mode)

    def lists(self, text: str) -> None:
        """Let `adb devices -l` print this."""
        (self.folder / "devices").write_text(text)

    def has_fault(self, name: str) -> None:
        """Let adb fail from now on: gone, hangs, or cut (gone once a span has begun)."""
        (self.folder / name).touch()

    def shows_thermal(self, status: int) -> None:
        """Let Android tell this thermal status."""
        text = f"IsStatusOverride: false\\nThermal Status: {status}\\nCached temperatures:\\n"
        self.script(self.folder / "bin/dumpsys", f"#!/bin/sh\nprintf '{text}'\n")

    def has_battery(self, status: str, *, current: int | str, voltage: int, charger: int = 0) -> None:
        """Let the kernel show this battery and charger."""
        shown = {
            "battery/type": "Battery",
            "battery/status": status,
            "battery/current_now": current,
            "battery/voltage_now": voltage,
            "usb/type": "USB",
            "usb/online": charger,
        }
        for name, value in shown.items():
            (self.folder / "supplies" / name).write_text(f"{value}\n")

    def left_behind(self) -> list[str]:
        """Return what is in the place for programs: nothing, once a run has ended."""
        return os.listdir(self.folder / "tmp")
