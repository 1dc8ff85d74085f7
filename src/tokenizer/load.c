/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokenizer.json -> a tokenizer, and the choice among the files of a folder.
 * What a file asks for and this program does not do is refused by name.
 */
#include <stdlib.h>
#include <string.h>

#include "edgewise/json.h"
#include "edgewise/mem.h"
#include "edgewise/path.h"

#include "impl.h"

bool load_vocab(struct vocab *vocab, const json_t *json, const char *file,
                const char *field, struct ew_err *err)
{
    if (!json_is_object(json)) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: %s: expected an object, found %s", file, field,
                       ew_json_kind(json));
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)json, key, value)
    {
        if (!json_is_integer(value) ||
            !vocab_add(vocab, key, strlen(key), json_integer_value(value))) {
            return ew_fail(err, EW_ERR_INPUT,
                           "%s: %s[\"%.60s\"]: expected an id of 0 to %d", file,
                           field, key, VOCAB_MAX_ID - 1);
        }
    }
    return true;
}

bool load_merge(struct ew_tokenizer *tok, struct span left, struct span right,
                size_t rank, const char *file, struct ew_err *err)
{
    struct ew_buf both = {0};
    size_t skip = tok->continuing_prefix.len; /* of the right one */
    skip = skip < right.len ? skip : right.len;
    ew_buf_add_n(&both, left.ptr, left.len);
    ew_buf_add_n(&both, right.ptr + skip, right.len - skip);
    int64_t a = vocab_find(&tok->vocab, left.ptr, left.len);
    int64_t b = vocab_find(&tok->vocab, right.ptr, right.len);
    int64_t id = vocab_find(&tok->vocab, ew_buf_str(&both), both.len);
    ew_buf_finish(&both);
    if (a < 0 || b < 0 || id < 0) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: merge %zu: \"%.*s\" + \"%.*s\": %s is not in the "
                       "vocabulary",
                       file, rank, (int)(left.len < 60 ? left.len : 60),
                       left.ptr, (int)(right.len < 60 ? right.len : 60),
                       right.ptr,
                       a < 0   ? "the first"
                       : b < 0 ? "the second"
                               : "the result");
    }
    merges_add(&tok->merges, a, b, (uint32_t)rank, id);
    return true;
}

bool load_merge_line(struct ew_tokenizer *tok, struct span line, size_t rank,
                     const char *file, struct ew_err *err)
{
    const char *space = memchr(line.ptr, ' ', line.len);
    if (!space || space == line.ptr || space + 1 == line.ptr + line.len) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: merge %zu: expected two tokens, found \"%.*s\"",
                       file, rank, (int)(line.len < 60 ? line.len : 60),
                       line.ptr);
    }
    size_t len = (size_t)(space - line.ptr);
    struct span left = {.ptr = line.ptr, .len = len};
    struct span right = {.ptr = space + 1, .len = line.len - len - 1};
    return load_merge(tok, left, right, rank, file, err);
}

static struct span json_span(const json_t *string)
{
    return (struct span){.ptr = json_string_value(string),
                         .len = json_string_length(string)};
}

/* Each is "a b" or ["a", "b"]. */
static bool load_merges(struct ew_tokenizer *tok, const json_t *json,
                        const char *file, struct ew_err *err)
{
    if (!json_is_array(json)) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: model.merges: expected an array, found %s", file,
                       ew_json_kind(json));
    }
    for (size_t i = 0; i < json_array_size(json); i++) {
        const json_t *merge = json_array_get(json, i);
        const json_t *left = json_array_get(merge, 0);
        const json_t *right = json_array_get(merge, 1);
        bool ok;
        if (json_is_string(merge)) {
            ok = load_merge_line(tok, json_span(merge), i, file, err);
        } else if (json_is_string(left) && json_is_string(right)) {
            ok = load_merge(tok, json_span(left), json_span(right), i, file,
                            err);
        } else {
            ok = ew_fail(err, EW_ERR_INPUT,
                         "%s: model.merges[%zu]: expected two tokens", file, i);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool load_bpe(struct ew_tokenizer *tok, const json_t *model,
                     const char *file, struct ew_err *err)
{
    struct field at = {.file = file, .path = "model"};
    tok->model = MODEL_BPE;
    return load_flag(&tok->byte_fallback, model, "byte_fallback", false, &at,
                     err) &&
           load_flag(&tok->fuse_unk, model, "fuse_unk", false, &at, err) &&
           load_flag(&tok->ignore_merges, model, "ignore_merges", false, &at,
                     err) &&
           load_text(&tok->continuing_prefix, model,
                     "continuing_subword_prefix", "", &at, err) &&
           load_text(&tok->word_suffix, model, "end_of_word_suffix", "", &at,
                     err) &&
           load_merges(tok, json_object_get(model, "merges"), file, err);
}

/* Old files do not name their model: tell by what it has. */
static const char *model_type(const json_t *model)
{
    const char *type = json_string_value(json_object_get(model, "type"));
    if (type) {
        return type;
    }
    return json_object_get(model, "merges")                     ? "BPE"
           : json_object_get(model, "max_input_chars_per_word") ? "WordPiece"
           : json_is_array(json_object_get(model, "vocab"))     ? "Unigram"
                                                                : "WordLevel";
}

static bool load_model(struct ew_tokenizer *tok, const json_t *model,
                       const char *file, struct ew_err *err)
{
    if (!json_is_object(model)) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: model: expected an object, found %s", file,
                       ew_json_kind(model));
    }
    const char *type = model_type(model);
    bool bpe = strcmp(type, "BPE") == 0;
    if (!bpe && strcmp(type, "WordLevel") != 0) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: model.type: \"%s\" is not supported; BPE and "
                       "WordLevel are",
                       file, type);
    }
    const char *unk = NULL;
    if (!load_vocab(&tok->vocab, json_object_get(model, "vocab"), file,
                    "model.vocab", err) ||
        !ew_json_str(model, file, "unk_token", &unk, err)) {
        return false;
    }
    if (unk) {
        tok->unk = vocab_find(&tok->vocab, unk, strlen(unk));
    }
    tok->model = MODEL_WORDS;
    return !bpe || load_bpe(tok, model, file, err);
}

bool load_added(struct ew_tokenizer *tok, const json_t *json, int64_t id,
                const char *file, struct ew_err *err)
{
    struct field at = {.file = file, .path = "added_tokens"};
    struct added_token flags = {0};
    bool special = false;
    const json_t *content = json_object_get(json, "content");
    if (!json_is_string(content)) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: added_tokens: content: expected a string, found "
                       "%s",
                       file, ew_json_kind(content));
    }
    struct span text = json_span(content);
    if (!ew_json_int(json, file, "id", &id, err) ||
        !load_flag(&special, json, "special", false, &at, err) ||
        !load_flag(&flags.single_word, json, "single_word", false, &at, err) ||
        !load_flag(&flags.lstrip, json, "lstrip", false, &at, err) ||
        !load_flag(&flags.rstrip, json, "rstrip", false, &at, err) ||
        !load_flag(&flags.normalized, json, "normalized", !special, &at, err)) {
        return false;
    }
    if (!vocab_add(&tok->vocab, text.ptr, text.len, id)) {
        return ew_fail(err, EW_ERR_INPUT,
                       "%s: added_tokens: \"%.60s\": id: expected 0 to %d",
                       file, text.ptr, VOCAB_MAX_ID - 1);
    }
    if (!flags.normalized) {
        added_put(&tok->added, text.ptr, text.len, id, flags);
        return true;
    }
    /* is looked for in normalized text, so as normalization leaves it */
    struct pieces normal = {.at_start = true};
    pieces_add(&normal, text.ptr, text.len);
    bool ok = steps_run(&tok->normalizers, &normal, err);
    added_put(&tok->added, ew_buf_str(&normal.text), normal.text.len, id,
              flags);
    pieces_finish(&normal);
    return ok;
}

static bool load_added_list(struct ew_tokenizer *tok, const json_t *json,
                            const char *file, struct ew_err *err)
{
    for (size_t i = 0; i < json_array_size(json); i++) {
        if (!load_added(tok, json_array_get(json, i), -1, file, err)) {
            return false;
        }
    }
    return true;
}

bool load_tokenizer_json(struct ew_tokenizer *tok, const char *path,
                         struct ew_err *err)
{
    json_t *root = ew_json_load(path, err);
    if (!root) {
        return false;
    }
    bool ok =
        load_model(tok, json_object_get(root, "model"), path, err) &&
        steps_load(&tok->normalizers, STEP_NORMALIZER,
                   json_object_get(root, "normalizer"), path, "normalizer",
                   err) &&
        steps_load(&tok->pre_tokenizers, STEP_PRE_TOKENIZER,
                   json_object_get(root, "pre_tokenizer"), path,
                   "pre_tokenizer", err) &&
        steps_load(&tok->decoders, STEP_DECODER,
                   json_object_get(root, "decoder"), path, "decoder", err) &&
        load_added_list(tok, json_object_get(root, "added_tokens"), path, err);
    json_decref(root);
    return ok;
}

/* ---- which token begins a text ---- */

/* "text" or {"content": "text"}. */
static int64_t named_token(const struct ew_tokenizer *tok, const json_t *value)
{
    const json_t *content =
        json_is_object(value) ? json_object_get(value, "content") : value;
    return json_is_string(content)
               ? vocab_find(&tok->vocab, json_string_value(content),
                            json_string_length(content))
               : -1;
}

int64_t find_bos(const struct ew_tokenizer *tok, const char *dir)
{
    static const struct {
        const char *file;
        const char *key;
    } places[] = {{"tokenizer_config.json", "bos_token"},
                  {"special_tokens_map.json", "bos_token"},
                  {"config.json", "bos_token_id"}};
    static const char *const usual[] = {"<|bos|>",
                                        "<|begin_of_text|>",
                                        "<bos>",
                                        "<s>",
                                        "<|endoftext|>",
                                        "[BOS]",
                                        "BOS",
                                        "<BOS>",
                                        "<|BOS|>"};
    int64_t id = -1;
    for (size_t i = 0; id < 0 && i < EW_ARRAY_LEN(places); i++) {
        char *path = ew_path_join(dir, places[i].file);
        json_t *root = ew_path_is_file(path) ? ew_json_load(path, NULL) : NULL;
        const json_t *value = json_object_get(root, places[i].key);
        if (json_is_integer(value)) {
            id = json_integer_value(value);
            id = ew_tokenizer_has(tok, id) ? id : -1;
        } else {
            id = named_token(tok, value);
        }
        json_decref(root);
        free(path);
    }
    for (size_t i = 0; id < 0 && i < EW_ARRAY_LEN(usual); i++) {
        id = vocab_find(&tok->vocab, usual[i], strlen(usual[i]));
    }
    return id;
}

/* ---- folders ---- */

/* The folder itself, or the one that a weights file lies in; free() it. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!ew_path_is_file(path)) {
        return ew_xstrdup(path);
    }
    return slash ? ew_xstrndup(path, (size_t)(slash - path) + 1)
                 : ew_xstrdup(".");
}

bool ew_tokenizer_exists(const char *model_dir)
{
    static const char *const files[] = {"tokenizer.json", "vocab.json"};
    bool found = false;
    char *dir = folder_of(model_dir);
    for (size_t i = 0; !found && i < EW_ARRAY_LEN(files); i++) {
        char *path = ew_path_join(dir, files[i]);
        found = ew_path_is_file(path);
        free(path);
    }
    free(dir);
    return found;
}

/* What only can be known when all tokens are there. */
static void complete(struct ew_tokenizer *tok, const char *dir)
{
    added_sort(&tok->added);
    tok->is_added = ew_bitset_create(tok->vocab.n_ids);
    for (size_t i = 0; i < tok->added.n; i++) {
        ew_bitset_put(tok->is_added, (size_t)tok->added.list[i].id, true);
    }
    for (size_t i = 0; i < tok->vocab.n_entries; i++) {
        size_t len = tok->vocab.entries[i].len;
        tok->longest = len > tok->longest ? len : tok->longest;
    }
    tok->bos = find_bos(tok, dir);
}

struct ew_tokenizer *ew_tokenizer_load(const char *model_dir,
                                       struct ew_err *err)
{
    struct ew_tokenizer *tok = ew_xcalloc(1, sizeof(*tok));
    tok->unk = -1;
    tok->bos = -1;
    char *dir = folder_of(model_dir);
    char *path = ew_path_join(dir, "tokenizer.json");
    bool ok = ew_path_is_file(path) ? load_tokenizer_json(tok, path, err)
                                    : load_plain(tok, dir, err);
    if (ok && tok->vocab.n_ids == 0) {
        ok = ew_fail(err, EW_ERR_INPUT, "%s: the vocabulary is empty", path);
    }
    if (ok) {
        complete(tok, dir);
    } else {
        ew_tokenizer_destroy(tok);
        tok = NULL;
    }
    free(path);
    free(dir);
    return tok;
}
