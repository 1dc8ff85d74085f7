#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Train induction-2l, the attention-only model that edgewise opens by default.

    ./train.py            train, write the three files beside this one, measure
    ./train.py --measure  only measure what is there

Needs Debian 12's python3-torch (1.13) and python3-numpy, nothing else. 5,600
steps, an hour or so on one core. Three kinds of sequences of random words:
segments said twice or more, single words that come back among new ones, and
pairs that come back. The loss counts where induction has an answer, and a
little everywhere else.

The weights here come from a run that was stopped and resumed between stages
with the optimiser fresh and the data stream continued, which is what the stages
below do in one go. Measured by --measure on fresh data: every second half of
r1..rk r1..rk for k of 3 to 45 top-1 1.00; one word that comes back at a random
distance 1.00 within 64 tokens, 0.98 within 96. README.md has the table.
"""
import argparse
import json
import math
import struct
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

WORDS = """
acid acorn actor adult agent alarm album alley amber angel ankle apple april
apron arch arena armor army arrow ash aunt autumn award axe baby badge bag
baker ball banana band bank barn barrel base basin basket bath beach bead beam
bean bear beard beast bed bee beef beer beetle bell belt bench berry bike bird
blade blanket block blood board boat body bolt bone book boot border boss
bottle bowl box boy brain branch brass bread breath brick bride bridge broom
brother brush bubble bucket bug bus bush butter button cabin cable cake camel
camera camp canal candle candy cannon canoe canvas cape captain car card carpet
carrot cart castle cat cave cedar chain chair chalk cheek cheese cherry chess
chest chief child chin cigar circle city clay cliff clock cloth cloud club
coach coal coast coat coffee coin collar comb copper coral cord cork corn
corner cotton couch cousin cow crab cradle crane crow crown cube cup curtain
dance dawn deer desert desk diamond dinner dish ditch doctor dog doll dollar
donkey door dove dragon drawer dream dress drink drum duck duke dust eagle ear
earth east echo egg elbow elm engine evening eye face factory falcon family
farm father feast feather fence fern fever field fig finger fire fish fist flag
flame flask flood floor flour flower flute fly fog foot forest fork fort
fountain fox frame friend frog fruit fur garden garlic gate ghost giant gift
ginger girl glass globe glove goat gold goose grain grape grass grave guard
guest guitar hair hall hammer hand harbor harp hat hawk hay head heart heel
helmet hen herb hero hill hip hole honey hood hook horn horse hotel house ice
ink inn iron island ivory jacket jam jar jaw jewel joke judge juice jungle
kettle key king kiss kite knee knife knight knot ladder lady lake lamb lamp
land lane lawyer leaf leather leg lemon letter library light lily lime line
lion lip lock log lord lunch maid mail map maple marble march market mask mast
meadow meal meat melon metal milk mill mine mint mirror money monk monkey moon
morning moss moth mother mouse mouth mud muscle music nail name neck needle
nest net night north nose nurse nut oak oar ocean office oil olive onion orange
orchid organ oven owl ox oyster page paint palace palm pan paper parent park
parrot party paste path peach pear pearl pen pencil pepper piano picture pie
pig pigeon pillow pilot pin pine pipe pirate plain planet plate plow plum
pocket poem poet pole pond pony pool port pot potato powder prince pump puppet
queen quilt rabbit radio rail rain raven razor reed rib ribbon rice ring river
road robe robin rock roof room root rope rose ruler sail salad salt sand sauce
scarf school sea seal seed shadow sheep shell ship shirt shoe shop shore shovel
silk silver sister skin skirt sky smoke snail snake snow soap sock soldier song
soup south spade sparrow spider spoon spring square squirrel stable stage star
statue steam steel stem stick stone storm
"""

BOS, UNK = "<|bos|>", "<|unk|>"
VOCAB = [BOS, UNK] + WORDS.split()
FIRST_WORD = 2                      # ids below this are never drawn

LAYERS, HEADS, D_MODEL, D_HEAD, CTX = 2, 8, 128, 16, 96
EPS = 1e-5

# Stages: tokens in a sequence, steps, the learning rate at either end, and how
# much is made of blocks, single words and pairs. Short sequences first: fewer
# places to look, so the heads form sooner, and cheaply. Last, words whose first
# time is late in the sequence, where the stages before never have one.
EVEN, SINGLE = (0.4, 0.4, 0.2), (0.2, 0.6, 0.2)
STAGES = ((16, 500, 3.3e-3, 2.3625e-3, EVEN, 0.75),
          (48, 150, 2.4e-3, 2e-3, EVEN, 0.75),
          (CTX, 350, 2e-3, 1e-4, EVEN, 0.75),
          (CTX, 600, 1.5e-3, 2e-5, EVEN, 0.75),
          (CTX, 1500, 1.2e-3, 1e-5, SINGLE, 0.75),
          (CTX, 800, 1.2e-3, 1e-5, SINGLE, 1),
          (CTX, 1000, 1.2e-3, 1e-5, SINGLE, 1, 0.6),
          (CTX, 700, 1.2e-3, 1e-5, SINGLE, 1, 0.75))
BATCH = 1536                        # tokens in a step


# --- the model --------------------------------------------------------------

def initial_weights(rng):
    """Random weights under TransformerLens's names.

    Three choices only save training time; all of it is trained afterwards.
    Positions start as sinusoids, so that "one before" is a rotation. The
    unembedding starts as the embedding's transpose and each head's output as
    the transpose of its value map, so that whatever a head attends to starts
    out as a small vote for the token found there.
    """
    def normal(*shape, std):
        return torch.from_numpy(rng.normal(0, std, shape).astype(np.float32))

    pos = torch.arange(CTX).float()[:, None]
    freq = torch.exp(-math.log(200) * torch.arange(D_MODEL // 2) / (D_MODEL // 2))
    w = {
        "embed.W_E": normal(len(VOCAB), D_MODEL, std=0.5),
        "pos_embed.W_pos": 0.5 * torch.cat([(pos * freq).sin(), (pos * freq).cos()], 1),
    }
    for l in range(LAYERS):
        p = f"blocks.{l}.attn."
        for m in "QKV":
            w[p + "W_" + m] = normal(HEADS, D_MODEL, D_HEAD, std=D_MODEL ** -0.5)
        w[p + "W_O"] = 0.5 * w[p + "W_V"].transpose(1, 2)
        for m in "QKV":
            w[p + "b_" + m] = torch.zeros(HEADS, D_HEAD)
        w[p + "b_O"] = torch.zeros(D_MODEL)
    w["unembed.W_U"] = 0.1 * w["embed.W_E"].T
    w["unembed.b_U"] = torch.zeros(len(VOCAB))
    return {name: t.clone() for name, t in w.items()}


def norm(x):
    """LNPre: centre and divide by the standard deviation, no gain, no bias."""
    x = x - x.mean(-1, keepdim=True)
    return x / (x.pow(2).mean(-1, keepdim=True) + EPS).sqrt()


def forward(w, tokens, patterns=None):
    """Logits (B, T, V). `patterns`, if given, collects each layer's (B, H, T, T)."""
    B, T = tokens.shape
    future = torch.full((T, T), -math.inf).triu(1)
    x = w["embed.W_E"][tokens] + w["pos_embed.W_pos"][:T]
    for l in range(LAYERS):
        p = f"blocks.{l}.attn."
        y = norm(x)
        q, k, v = (project(y, w[p + "W_" + m], w[p + "b_" + m]) for m in "QKV")
        pattern = (q / math.sqrt(D_HEAD) @ k.transpose(-1, -2) + future).softmax(-1)
        if patterns is not None:
            patterns.append(pattern)
        z = (pattern @ v).transpose(1, 2).reshape(B, T, HEADS * D_HEAD)
        x = x + z @ w[p + "W_O"].reshape(HEADS * D_HEAD, D_MODEL) + w[p + "b_O"]
    return norm(x) @ w["unembed.W_U"] + w["unembed.b_U"]


def project(x, weight, bias):
    """x (B, T, D) through every head's weight (H, D, K): (B, H, T, K)."""
    flat = weight.transpose(0, 1).reshape(D_MODEL, HEADS * D_HEAD)
    return (x @ flat + bias.flatten()).unflatten(-1, (HEADS, D_HEAD)).transpose(1, 2)


# --- the data ---------------------------------------------------------------

def words(rng, n):
    """n distinct random words."""
    return FIRST_WORD + rng.permutation(len(VOCAB) - FIRST_WORD)[:n]


def blocks(rng, T, *span):
    """A segment said two or more times, at a random place, in random words."""
    w = words(rng, T)
    k = rng.integers(2, T // 2 + 1)
    gap = 0 if rng.random() < 0.5 else rng.integers(0, T - 2 * k + 1)
    lead = 0 if rng.random() < 0.3 else rng.integers(0, T - 2 * k - gap + 1)
    segment, fresh = w[:k], list(w[k:])
    out = fresh[:lead] + list(segment) + fresh[lead:lead + gap]
    fresh = fresh[lead + gap:]
    while len(out) + k <= T and (len(out) < lead + gap + 2 * k or rng.random() < 0.5):
        out += list(segment)
    return np.array((out + fresh)[:T])


def recurrences(rng, T, latest, earliest=0.125):
    """Words that come back one at a time: after each the next is again random.

    The first part, `earliest` to `latest` of all, is said once; the rest mixes new words with words of the
    first part in random order, so nothing but the one word can be matched.
    """
    w = words(rng, T)
    k = rng.integers(int(earliest * T), int(latest * T) if latest < 1 else T - 1)
    back = min(k - 1, T - k, rng.integers(1, T))
    first = max(0, k - 1 - 3 * back) if latest == 1 else 0
    rest = np.concatenate([rng.permutation(w[first:k - 1])[:back], w[k:T - back]])
    return np.concatenate([w[:k], rng.permutation(rest)])


def pairs(rng, T, *span):
    """Pairs A B that come back whole, in another order, among new words."""
    w = words(rng, T)
    first = w[:2 * (T // 4)].reshape(-1, 2)
    again = rng.permutation(first)[:rng.integers(1, len(first) + 1)]
    fresh = w[first.size:T - again.size]
    rest = list(again) + [[t] for t in fresh]
    return np.concatenate([first.ravel()] + [rest[i] for i in rng.permutation(len(rest))])


def batch(rng, n, T, mix, *span):
    """Tokens (n, T) with BOS in front, and per position the token induction gives.

    A position is predictable where its token has occurred before and was always
    followed by the same one: that one is the target. Elsewhere it is -1.
    """
    kinds = rng.choice(3, n, p=mix)
    rows = [(blocks, recurrences, pairs)[i](rng, T - 1, *span) for i in kinds]
    tokens = torch.from_numpy(np.concatenate([np.zeros((n, 1), int), np.stack(rows)], 1))
    return tokens, induction_targets(tokens)


def induction_targets(tokens):
    n, T = tokens.shape
    same = (tokens[:, :, None] == tokens[:, None, :]).tril(-1)[:, :, :-1]
    after = tokens[:, None, 1:].expand(n, T, T - 1)
    low = after.masked_fill(~same, len(VOCAB)).amin(-1)
    high = after.masked_fill(~same, -1).amax(-1)
    return torch.where(low == high, low, torch.full_like(low, -1))


# --- training ---------------------------------------------------------------

def train(seed, log):
    rng = np.random.default_rng(seed)
    w = initial_weights(rng)
    for t in w.values():
        t.requires_grad_()
    start = time.time()
    for T, steps, first, last, mix, *span in STAGES:
        opt = torch.optim.AdamW(
            [{"params": [t for name, t in w.items() if ".W_" in name], "weight_decay": 0.1},
             {"params": [t for name, t in w.items() if ".b_" in name], "weight_decay": 0.0}],
            betas=(0.9, 0.98))
        losses, hits = [], []
        for step in range(steps):
            rate = min(3e-3, first + (last - first) * step / steps)
            for group in opt.param_groups:
                group["lr"] = min(rate, 3e-3 * (step + 1) / 100)
            tokens, target = batch(rng, BATCH // T, T, mix, *span)
            loss, rest, hit = losses_of(forward(w, tokens), tokens, target)
            opt.zero_grad()
            (loss + 0.02 * rest).backward()
            torch.nn.utils.clip_grad_norm_(list(w.values()), 1.0)
            opt.step()
            losses.append(loss.item())
            hits.append(hit)
            if (step + 1) % 50 == 0:
                print(f"T {T:3d}  step {step + 1:4d}  loss {np.mean(losses):.4f}  "
                      f"rest {rest.item():.2f}  top-1 {np.mean(hits):.4f}  "
                      f"{time.time() - start:.0f} s", file=log, flush=True)
                losses, hits = [], []
    return {name: t.detach() for name, t in w.items()}


def losses_of(logits, tokens, target):
    """Loss where induction has an answer, loss on the rest, and top-1 on the former.

    The rest gets little weight. Its best answer is "any word": it keeps the
    model from being sure where nothing can be known.
    """
    known = target >= 0
    following = torch.cat([tokens[:, 1:], tokens[:, :1]], 1)
    each = F.cross_entropy(logits.flatten(0, 1),
                           torch.where(known, target, following).flatten(),
                           reduction="none").view_as(target)
    other = ~known
    other[:, -1] = False
    hit = (logits.argmax(-1) == target)[known].float().mean().item()
    return each[known].mean(), each[other].mean(), hit


# --- measuring --------------------------------------------------------------

def repeated(rng, n, k):
    """BOS r1..rk r1..rk, and the answers at the second half: r2..rk r1."""
    r = np.stack([words(rng, k) for _ in range(n)])
    tokens = np.concatenate([np.zeros((n, 1), int), r, r], 1)
    return torch.from_numpy(tokens), torch.from_numpy(np.roll(r, -1, 1))


def single(rng, n, T):
    """BOS and distinct words, the last of which is then said a second time.

    Which one is random, at least two back; the answer is what followed it.
    """
    r = np.stack([words(rng, T - 2) for _ in range(n)])
    at = rng.integers(0, T - 3, n)
    rows = np.arange(n)
    tokens = np.concatenate([np.zeros((n, 1), int), r, r[rows, at][:, None]], 1)
    return torch.from_numpy(tokens), torch.from_numpy(r[rows, at + 1])


def top1(logits, answers):
    return (logits.argmax(-1) == answers).float().mean().item()


def logit_difference(rng, logits, answers):
    """Mean logit of the answer less that of a random other word."""
    wrong = torch.from_numpy(rng.integers(FIRST_WORD, len(VOCAB), answers.shape))
    wrong = torch.where(wrong == answers, torch.full_like(wrong, FIRST_WORD), wrong)
    pick = lambda t: logits.gather(-1, t[..., None])
    return (pick(answers) - pick(wrong)).mean().item()


def measure(w, seed):
    rng = np.random.default_rng(seed)
    figures = {"repeated": {}, "single": {}}
    with torch.no_grad():
        for k in (3, 5, 10, 15, 20, 30, 45):
            tokens, answers = repeated(rng, 100, k)
            logits = forward(w, tokens)[:, k + 1:]
            figures["repeated"][k] = {
                "top-1": top1(logits, answers),
                "top-1 at the last position": top1(logits[:, -1], answers[:, -1]),
                "logit difference": logit_difference(rng, logits, answers)}
        for T in (8, 16, 31, 48, 64, 96):
            tokens, answers = single(rng, 250, T)
            logits = forward(w, tokens)[:, -1]
            figures["single"][T] = {
                "top-1": top1(logits, answers),
                "logit difference": logit_difference(rng, logits, answers)}
        # Attention: to the token before, everywhere; and from the second half to
        # the token after the same one's first occurrence.
        k = 15
        tokens, answers = repeated(rng, 100, k)
        patterns = []
        logits = forward(w, tokens, patterns)
        sure = logits[:, 1:k].softmax(-1).amax(-1).mean().item()
        figures["highest probability where nothing is known"] = sure
        figures["heads"] = heads = {}
        for l, p in enumerate(patterns):
            previous = p.diagonal(-1, 2, 3)[:, :, 1:].mean((0, 2))
            induction = p.diagonal(1 - k, 2, 3)[:, :, 2:].mean((0, 2))
            for h in range(HEADS):
                heads[f"a{l}.h{h}"] = {"previous": previous[h].item(),
                                       "induction": induction[h].item()}
    return figures


def report(figures, out):
    for k, f in figures["repeated"].items():
        print(f"BOS r1..r{k} twice: top-1 {f['top-1']:.4f}, at the last position "
              f"{f['top-1 at the last position']:.4f}, "
              f"logit difference {f['logit difference']:.1f}", file=out)
    for T, f in figures["single"].items():
        print(f"one word again, {T} tokens: top-1 {f['top-1']:.4f}, "
              f"logit difference {f['logit difference']:.1f}", file=out)
    print("highest probability where nothing is known: "
          f"{figures['highest probability where nothing is known']:.3f}", file=out)
    for name, f in figures["heads"].items():
        print(f"{name}  previous token {f['previous']:.2f}  "
              f"induction {f['induction']:.2f}", file=out)


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
        "model_name": "induction-2l", "n_layers": LAYERS, "d_model": D_MODEL,
        "n_ctx": CTX, "d_head": D_HEAD, "n_heads": HEADS, "d_mlp": None,
        "act_fn": None, "d_vocab": len(VOCAB), "d_vocab_out": len(VOCAB), "eps": EPS,
        "normalization_type": "LNPre", "attn_only": True,
        "positional_embedding_type": "standard", "attention_dir": "causal",
        "use_attn_scale": True, "use_local_attn": False,
        "scale_attn_by_inverse_layer_idx": False, "parallel_attn_mlp": False,
        "final_rms": False, "gated_mlp": False, "default_prepend_bos": True,
        "tokenizer_name": None, "dtype": "torch.float32", "seed": seed}, indent=1) + "\n")


def write_tokenizer(path):
    special = [{"id": i, "content": s, "single_word": False, "lstrip": False,
                "rstrip": False, "normalized": False, "special": True}
               for i, s in enumerate((BOS, UNK))]
    path.write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": special, "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel",
                  "vocab": {word: i for i, word in enumerate(VOCAB)},
                  "unk_token": UNK}}, indent=1) + "\n")


def main():
    ap = argparse.ArgumentParser(description="train induction-2l")
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
    report(measure(read_safetensors(weights), args.seed + 1000), sys.stdout)


if __name__ == "__main__":
    main()
