#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Our plain forward beside PyTorch's, in one run.

usage: torch_forward.py EDGEWISE MODEL TASK

MODEL is a folder in TransformerLens's layout, attention only, as
attn-only-2l is; TASK a file with the rows `clean`, `answer_ids` and
`wrong_ids`. PyTorch runs what HookedTransformer.forward does, without hooks;
that both give the same logit difference is checked. Both sides are timed
several times in turn, and the best of each are printed with their ratio. Needs python3-torch; two threads, as the README's figures.
"""
import json
import os
import struct
import subprocess
import sys
import time

os.environ["OMP_NUM_THREADS"] = "2"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
import torch  # noqa: E402  (reads the environment)

ROUNDS, TIMES = 3, 40


def read_safetensors(path):
    with open(path, "rb") as f:
        (size,) = struct.unpack("<Q", f.read(8))
        head = json.loads(f.read(size))
        data = f.read()
    out = {}
    for name, t in head.items():
        if name == "__metadata__":
            continue
        if t["dtype"] != "F32":
            sys.exit(f"{path}: {name}: {t['dtype']}, not F32")
        begin, end = t["data_offsets"]
        flat = torch.frombuffer(bytearray(data[begin:end]), dtype=torch.float32)
        out[name] = flat.reshape(t["shape"])
    return out


def norm(x, eps):
    x = x - x.mean(-1, keepdim=True)
    return x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()


def forward(w, config, tokens):
    n_pos = tokens.shape[1]
    x = w["embed.W_E"][tokens] + w["pos_embed.W_pos"][:n_pos]
    masked = torch.triu(torch.ones(n_pos, n_pos, dtype=torch.bool), 1)
    for layer in range(config["n_layers"]):
        at = f"blocks.{layer}.attn."
        y = norm(x, config["eps"])
        q, k, v = (
            torch.einsum("bpd,hdk->bphk", y, w[at + "W_" + c]) + w[at + "b_" + c]
            for c in "QKV"
        )
        scores = torch.einsum("bqhk,bphk->bhqp", q, k) / config["d_head"] ** 0.5
        pattern = scores.masked_fill(masked, -1e5).softmax(-1)
        z = torch.einsum("bphk,bhqp->bqhk", v, pattern)
        x = x + torch.einsum("bqhk,hkd->bqd", z, w[at + "W_O"]) + w[at + "b_O"]
    return norm(x, config["eps"]) @ w["unembed.W_U"] + w["unembed.b_U"]


def logit_difference(logits, task):
    rows = torch.arange(logits.shape[0])
    last = logits[rows, task["answer_position"]]
    right, wrong = (
        torch.tensor(task[key]).reshape(len(rows)) for key in ("answer_ids", "wrong_ids")
    )
    return float((last[rows, right] - last[rows, wrong]).mean())


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    program, model, task_path = sys.argv[1:]
    with open(os.path.join(model, "config.json")) as f:
        config = json.load(f)
    with open(task_path) as f:
        task = json.load(f)
    w = read_safetensors(os.path.join(model, "model.safetensors"))
    tokens = torch.tensor(task["clean"])

    def ask(*args):
        out = subprocess.run(
            [program, *args, "--json"], check=True, capture_output=True, text=True
        ).stdout
        return json.loads(out)

    env_task = (model, "-t", task_path, "--metric", "logit-diff", "--threads", "2")
    theirs, ours = [], []
    with torch.no_grad():
        a = logit_difference(forward(w, config, tokens), task)
        b = ask("eval", *env_task)["logit_diff"]
        if abs(a - b) > 1e-4 * max(1.0, abs(a)):
            sys.exit(f"not the same model: logit difference {a}, ours {b}")
        for _ in range(ROUNDS):
            for _ in range(TIMES):
                start = time.perf_counter()
                forward(w, config, tokens)
                theirs.append(time.perf_counter() - start)
            ours.append(ask("bench", *env_task)["forward"]["seconds"])
    print(f"PyTorch {torch.__version__}: {1e3 * min(theirs):.2f} ms")
    print(f"edgewise: {1e3 * min(ours):.2f} ms")
    print(f"ours / PyTorch's: {min(ours) / min(theirs):.2f}")


main()
