#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
import argparse
import json
import math
import re
import struct
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

NAMES = """
Aaron Adam Alexander Alice Alicia Allison Amanda Amber Amy Andrea Andrew Angela
Anna Anthony Ashley Benjamin Bradley Brandon Brian Brittany Bryan Charles
Christina Christine Christopher Cody Courtney Crystal Daniel Danielle David
Dustin Elizabeth Emily Emma Eric Erica Erin George Gregory Heather Jack Jacob
James Jamie Jason Jeffrey Jennifer Jeremy Jesse Jessica John Jonathan Jose
Joseph Joshua Justin Kate Katherine Katie Kelly Kenneth Kevin Kimberly Kristen
Kyle Laura Lauren Lindsay Lindsey Lisa Mark Martin Mary Matthew Megan Melissa
Michael Michelle Nathan Nicholas Nicole Patrick Paul Peter Rachel Rebecca
Richard Robert Ryan Samantha Samuel Sara Sarah Scott Sean Shannon Simon
Stephanie Stephen Steven Thomas Tiffany Timothy Tom Travis Tyler Vanessa
Victoria William
""".split()

PLACES = """
bank beach bridge cafe church cinema farm garden harbor hospital hotel house
lake library market mountain museum office park restaurant river school shop
station store theater town zoo
""".split()

OBJECTS = """
bag ball banana basketball bike bone book bottle box camera card coat coin
computer cookie drink flower gift hat jacket key kiss lamp letter map necklace
newspaper notebook pen pencil phone ring sandwich snack ticket toy watch
""".split()

# A scene brings the two names together; an act is what the subject then does.
# {a} and {b} are the two people in either order, {s} the subject, {i} the other.
SCENES = """
{a} and {b} went to the {place}
{a} and {b} had a lot of fun at the {place}
{a} and {b} were working at the {place}
{a} and {b} were thinking about going to the {place}
{a} and {b} were commuting to the {place}
{a} and {b} were waiting near the {place}
{a} and {b} had a long argument
{a} and {b} had a long argument at the {place}
{a} and {b} had lunch at the {place}
{a} and {b} arrived at the {place}
{a} and {b} walked home from the {place}
{a} and {b} met at the {place}
{a} met {b} at the {place}
{a} saw {b} in the {place}
{a} went to the {place} with {b}
""".strip().split("\n")

ACTS = """
{s} gave a {object} to {i}
{s} gave the {object} to {i}
{s} decided to give a {object} to {i}
{s} wanted to give a {object} to {i}
{s} handed a {object} to {i}
{s} passed the {object} to {i}
{s} showed a {object} to {i}
{s} offered a {object} to {i}
{s} brought a {object} to {i}
{s} sold the {object} to {i}
{s} said to {i}
{s} talked to {i}
""".strip().split("\n")

FRAMES = """
{scene} . {act}
{scene} , and {act}
{scene} , and afterwards {act}
{scene} . Afterwards {act}
{scene} . Then {act}
Then , {scene} . {act}
Then , {scene} , and afterwards {act}
Afterwards , {scene} . {act}
Yesterday {scene} . {act}
Yesterday {scene} , and {act}
After the lunch , {scene} . {act}
After {scene} , {act}
When {scene} , {act}
While {scene} , {act}
One day {scene} , so {act}
""".strip().split("\n")

# Whole sentences, where the object is known before it is given.
STORIES = """
When {a} and {b} got a {object} at the {place} , {s} decided to give it to {i}
When {a} and {b} got a {object} at the {place} , {s} decided to give the {object} to {i}
{a} and {b} bought a {object} at the {place} . {s} gave the {object} to {i}
The {place} {a} and {b} went to had a {object} . {s} gave it to {i}
Friends {a} and {b} found a {object} at the {place} . {s} gave it to {i}
The friends {a} and {b} saw a {object} near the {place} , and {s} gave it to {i}
""".strip().split("\n")

BOS, UNK = "<|bos|>", "<|unk|>"


def vocabulary():
    text = " ".join(SCENES + ACTS + FRAMES + STORIES)
    plain = sorted(set(re.sub(r"\{\w+\}", "", text).split()))
    every = [BOS, UNK] + plain + PLACES + OBJECTS + NAMES
    assert len(every) == len(set(every))
    return every


VOCAB = vocabulary()
IDS = {word: i for i, word in enumerate(VOCAB)}
NAME_IDS = {IDS[n] for n in NAMES}

LAYERS, HEADS, D_MODEL, D_HEAD, D_MLP, CTX = 4, 4, 64, 16, 256, 32
EPS = 1e-5
# At most so many steps, the learning rate at either end, and the share of last
# names of 50 steps that ends a stage early; one sentence in 25 cannot be told.
STAGES = ((3000, 2e-3, 2e-3, 0.945), (250, 2e-3, 1e-4, 1.1))
BATCH = 48                          # sentences in a step


# --- the model: GPT-2 under TransformerLens's names -------------------------

def initial_weights(rng):
    """Random weights. Three choices only save training time.

    Positions start as sinusoids, the unembedding as the embedding's transpose
    and each head's output as plus or minus the transpose of its value map, so
    that whatever a head attends to starts out as a small vote for the token
    found there (even heads) or against it (odd heads).
    """
    def normal(*shape, std):
        return torch.from_numpy(rng.normal(0, std, shape).astype(np.float32))

    pos = torch.arange(CTX).float()[:, None]
    freq = torch.exp(-math.log(100) * torch.arange(D_MODEL // 2) / (D_MODEL // 2))
    w = {
        "embed.W_E": normal(len(VOCAB), D_MODEL, std=0.5),
        "pos_embed.W_pos": 0.5 * torch.cat([(pos * freq).sin(), (pos * freq).cos()], 1),
    }
    for l in range(LAYERS):
        p = f"blocks.{l}."
        w[p + "ln1.w"], w[p + "ln1.b"] = torch.ones(D_MODEL), torch.zeros(D_MODEL)
        for m in "QKV":
            w[p + "attn.W_" + m] = normal(HEADS, D_MODEL, D_HEAD, std=D_MODEL ** -0.5)
        vote = torch.tensor([0.5, -0.5] * (HEADS // 2))[:, None, None]
        w[p + "attn.W_O"] = vote * w[p + "attn.W_V"].transpose(1, 2)
        for m in "QKV":
            w[p + "attn.b_" + m] = torch.zeros(HEADS, D_HEAD)
        w[p + "attn.b_O"] = torch.zeros(D_MODEL)
        w[p + "ln2.w"], w[p + "ln2.b"] = torch.ones(D_MODEL), torch.zeros(D_MODEL)
        w[p + "mlp.W_in"] = normal(D_MODEL, D_MLP, std=D_MODEL ** -0.5)
        w[p + "mlp.b_in"] = torch.zeros(D_MLP)
        w[p + "mlp.W_out"] = normal(D_MLP, D_MODEL, std=0.3 * D_MLP ** -0.5)
        w[p + "mlp.b_out"] = torch.zeros(D_MODEL)
    w["ln_final.w"], w["ln_final.b"] = torch.ones(D_MODEL), torch.zeros(D_MODEL)
    w["unembed.W_U"] = 0.1 * w["embed.W_E"].T
    w["unembed.b_U"] = torch.zeros(len(VOCAB))
    return {name: t.clone() for name, t in w.items()}


def forward(w, tokens, patterns=None):
    """Logits (B, T, V). `patterns`, if given, collects each layer's (B, H, T, T)."""
    B, T = tokens.shape
    future = torch.full((T, T), -math.inf).triu(1)
    norm = lambda x, name: F.layer_norm(x, (D_MODEL,), w[name + ".w"], w[name + ".b"], EPS)
    x = w["embed.W_E"][tokens] + w["pos_embed.W_pos"][:T]
    for l in range(LAYERS):
        p = f"blocks.{l}."
        y = norm(x, p + "ln1")
        q, k, v = (project(y, w[p + "attn.W_" + m], w[p + "attn.b_" + m]) for m in "QKV")
        pattern = (q / math.sqrt(D_HEAD) @ k.transpose(-1, -2) + future).softmax(-1)
        if patterns is not None:
            patterns.append(pattern)
        z = (pattern @ v).transpose(1, 2).reshape(B, T, HEADS * D_HEAD)
        x = x + z @ w[p + "attn.W_O"].reshape(HEADS * D_HEAD, D_MODEL) + w[p + "attn.b_O"]
        y = norm(x, p + "ln2") @ w[p + "mlp.W_in"] + w[p + "mlp.b_in"]
        x = x + F.gelu(y, approximate="tanh") @ w[p + "mlp.W_out"] + w[p + "mlp.b_out"]
    return norm(x, "ln_final") @ w["unembed.W_U"] + w["unembed.b_U"]


def project(x, weight, bias):
    """x (B, T, D) through every head's weight (H, D, K): (B, H, T, K)."""
    flat = weight.transpose(0, 1).reshape(D_MODEL, HEADS * D_HEAD)
    return (x @ flat + bias.flatten()).unflatten(-1, (HEADS, D_HEAD)).transpose(1, 2)


# --- the sentences ----------------------------------------------------------

def split_pairs(seed):
    """All pairs of names, a tenth of them held out of training."""
    n = len(NAMES)
    pairs = np.array([(a, b) for a in range(n) for b in range(a)])
    pairs = np.random.default_rng(seed).permutation(pairs)
    return pairs[len(pairs) // 10:], pairs[:len(pairs) // 10]


def sentence(rng, pair, order=None, third=None):
    """One sentence ending in the indirect object, as words.

    order: "ABBA" (the subject was named second) or "BABA" (named first); random
    if None. third: a name that acts in place of the subject; the object is then
    either of the two.
    """
    io, s = rng.permutation(pair)
    first, second = (io, s) if (order or rng.choice(["ABBA", "BABA"])) == "ABBA" else (s, io)
    pick = lambda options: options[rng.integers(len(options))]
    if rng.random() < 0.3:
        text = pick(STORIES)
    else:
        text = pick(FRAMES).replace("{scene}", pick(SCENES)).replace("{act}", pick(ACTS))
    fields = {"a": first, "b": second, "s": s if third is None else third, "i": io}
    fields = {key: NAMES[n] for key, n in fields.items()}
    return text.format(place=pick(PLACES), object=pick(OBJECTS), **fields).split()


def batch(rng, n, pairs, order=None, bos=None, third=None):
    """Tokens (n, T) padded at the right, and the index of each one's last name.

    bos: with BOS in front or without; None: mostly with. third: the share of
    sentences in which somebody else acts.
    """
    rows = []
    for _ in range(n):
        pair = pairs[rng.integers(len(pairs))]
        other = None
        if third and rng.random() < third:
            other = rng.choice(np.setdiff1d(np.arange(len(NAMES)), pair))
        ids = [IDS[word] for word in sentence(rng, pair, order, other)]
        with_bos = bos if bos is not None else rng.random() < 0.85
        rows.append([IDS[BOS]] * with_bos + ids + [IDS["."]])
    last = torch.tensor([len(r) - 2 for r in rows])
    tokens = torch.zeros(n, int(last.max()) + 2, dtype=torch.long)
    for row, ids in zip(tokens, rows):
        row[:len(ids)] = torch.tensor(ids)
    return tokens, last


# --- training ---------------------------------------------------------------

def train(seed, log):
    rng = np.random.default_rng(seed)
    pairs, _ = split_pairs(seed)
    w = initial_weights(rng)
    for t in w.values():
        t.requires_grad_()
    start = time.time()
    for stage, (steps, first, last_rate, enough) in enumerate(STAGES):
        opt = torch.optim.AdamW(
            [{"params": [t for name, t in w.items() if ".W_" in name], "weight_decay": 0.1},
             {"params": [t for name, t in w.items() if ".W_" not in name],
              "weight_decay": 0.0}],
            betas=(0.9, 0.98))
        names, rests, hits = [], [], []
        for step in range(steps):
            rate = first + (last_rate - first) * step / steps
            for group in opt.param_groups:
                group["lr"] = min(rate, first * (step + 1) / 100)
            tokens, last = batch(rng, BATCH, pairs, third=0.08)
            name, rest, hit = losses_of(forward(w, tokens[:, :-1]), tokens, last)
            opt.zero_grad()
            (name + 0.3 * rest).backward()
            torch.nn.utils.clip_grad_norm_(list(w.values()), 1.0)
            opt.step()
            names.append(name.item())
            rests.append(rest.item())
            hits.append(hit)
            if (step + 1) % 50 == 0:
                print(f"stage {stage + 1}  step {step + 1:5d}  last name {np.mean(names):.4f}  "
                      f"top-1 {np.mean(hits):.4f}  rest {np.mean(rests):.4f}  "
                      f"{time.time() - start:.0f} s", file=log, flush=True)
                if np.mean(hits) >= enough:
                    break
                names, rests, hits = [], [], []
    return {name: t.detach() for name, t in w.items()}


def losses_of(logits, tokens, last):
    """Loss on each sentence's last name, loss on the rest of it, top-1 on the name."""
    each = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(),
                           reduction="none").view(len(tokens), -1)
    at, end = torch.arange(each.shape[1]), last[:, None] - 1
    hit = (logits.argmax(-1) == tokens[:, 1:])[at == end].float().mean().item()
    return each[at == end].mean(), each[(at < end) | (at == end + 1)].mean(), hit


# --- measuring --------------------------------------------------------------

def positions(tokens, last):
    """Where IO, S1, S2 and END stand in each sentence."""
    where = {"IO": [], "S1": [], "S2": [], "END": []}
    for row, n in zip(tokens, last):
        io = row[n]
        at = [t for t in range(n) if int(row[t]) in NAME_IDS]
        subject = row[at[2]]
        where["IO"].append(next(t for t in at if row[t] == io))
        where["S1"].append(next(t for t in at if row[t] == subject))
        where["S2"].append(at[2])
        where["END"].append(int(n) - 1)
    return {role: torch.tensor(v) for role, v in where.items()}


def accuracy(w, tokens, last):
    logits = forward(w, tokens)
    rows = torch.arange(len(tokens))
    at = positions(tokens, last)
    end = logits[rows, at["END"]]
    answer, subject = tokens[rows, last], tokens[rows, at["S2"]]
    difference = end[rows, answer] - end[rows, subject]
    return {"top-1": (end.argmax(-1) == answer).float().mean().item(),
            "logit difference": difference.mean().item(),
            "answer above subject": (difference > 0).float().mean().item()}


def measure(w, seed, split):
    rng = np.random.default_rng(seed)
    trained, held_out = split_pairs(split)
    figures = {}
    with torch.no_grad():
        for bos in (True, False):
            for order in ("ABBA", "BABA"):
                name = f"held-out pairs, {order}, {'with' if bos else 'no'} BOS"
                figures[name] = accuracy(w, *batch(rng, 1000, held_out, order, bos))
        figures["trained pairs"] = accuracy(w, *batch(rng, 1000, trained))
        tokens, last = batch(rng, 500, held_out, bos=True)
        at = positions(tokens, last)
        patterns = []
        forward(w, tokens, patterns)
        rows = torch.arange(len(tokens))
        heads = figures["heads"] = {}
        for l, p in enumerate(patterns):
            inside = torch.arange(1, tokens.shape[1]) <= last[:, None]
            for h in range(HEADS):
                look = lambda a, b: p[rows, h, at[a], at[b]].mean().item()
                before = p[:, h].diagonal(-1, 1, 2)
                heads[f"a{l}.h{h}"] = {
                    "previous": before[inside].mean().item(),
                    "S2->S1": look("S2", "S1"), "END->S2": look("END", "S2"),
                    "END->S1": look("END", "S1"), "END->IO": look("END", "IO")}
    return figures


def report(figures, out):
    for name, f in figures.items():
        if name != "heads":
            print(f"{name}: top-1 {f['top-1']:.4f}, answer above subject "
                  f"{f['answer above subject']:.4f}, logit difference "
                  f"{f['logit difference']:.2f}", file=out)
    for name, f in figures["heads"].items():
        print(name + "".join(f"  {k} {v:.2f}" for k, v in f.items()), file=out)


# --- files ------------------------------------------------------------------

def write_safetensors(path, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    arrays = {name: t.contiguous().numpy().astype("<f4") for name, t in tensors.items()}
    for name, a in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(a.shape),
                        "data_offsets": [offset, offset + a.nbytes]}
        offset += a.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for a in arrays.values():
            f.write(a.tobytes())


def read_safetensors(path):
    data = Path(path).read_bytes()
    n, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + n])
    header.pop("__metadata__", None)
    return {name: torch.from_numpy(np.frombuffer(
                data[8 + n + t["data_offsets"][0]:8 + n + t["data_offsets"][1]],
                "<f4").reshape(t["shape"]).copy())
            for name, t in header.items()}


def write_config(path, seed):
    path.write_text(json.dumps({
        "model_name": "ioi-mini", "n_layers": LAYERS, "d_model": D_MODEL,
        "n_ctx": CTX, "d_head": D_HEAD, "n_heads": HEADS, "d_mlp": D_MLP,
        "act_fn": "gelu_new", "d_vocab": len(VOCAB), "d_vocab_out": len(VOCAB), "eps": EPS,
        "normalization_type": "LN", "attn_only": False,
        "positional_embedding_type": "standard", "attention_dir": "causal",
        "use_attn_scale": True, "use_local_attn": False,
        "scale_attn_by_inverse_layer_idx": False, "parallel_attn_mlp": False,
        "final_rms": False, "gated_mlp": False, "default_prepend_bos": True,
        "default_task": "ioi-acdc",
        "tokenizer_name": None, "dtype": "torch.float32", "seed": seed}, indent=1) + "\n")


def write_tokenizer(path):
    special = [{"id": i, "content": s, "single_word": False, "lstrip": False,
                "rstrip": False, "normalized": False, "special": True}
               for i, s in enumerate((BOS, UNK))]
    path.write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": special, "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel",
                  "vocab": {word: i for i, word in enumerate(VOCAB)},
                  "unk_token": UNK}}, indent=1) + "\n")


def main():
    ap = argparse.ArgumentParser(description="train ioi-mini")
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--out", type=Path, default=Path(__file__).parent)
    ap.add_argument("--measure", action="store_true", help="only measure what is there")
    args = ap.parse_args()
    torch.set_num_threads(1)
    weights = args.out / "model.safetensors"
    if not args.measure:
        args.out.mkdir(parents=True, exist_ok=True)
        w = train(args.seed, sys.stdout)
        write_safetensors(weights, w)
        write_config(args.out / "config.json", args.seed)
        write_tokenizer(args.out / "tokenizer.json")
    report(measure(read_safetensors(weights), args.seed + 1000, args.seed), sys.stdout)


if __name__ == "__main__":
    main()
