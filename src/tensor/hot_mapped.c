/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The divergence of logits that differ from known ones by a product of low
 * rank: a block of the product is made in registers and used up at once, so
 * that neither it nor the logits are ever written down. Built once for each
 * instruction set, as hot.c.
 */
#include "hot.h"

#include <string.h>
#ifdef __SSE__
#include <immintrin.h>
#endif

void EW_HOT_MAPPED(const struct ew_hot_mapped *job, int64_t panel,
                   float *room, double *dot, double *mass);

#if defined(__AVX512F__)
enum { VECTOR = 16, ACROSS = 4 };
#elif defined(__AVX2__)
enum { VECTOR = 8, ACROSS = 2 };
#else
enum { VECTOR = 4, ACROSS = 2 };
#endif
/* Rows and columns whose sums stay in registers. */
enum { DOWN = 6, BLOCK = VECTOR * ACROSS, PANEL = EW_HOT_PANEL };
_Static_assert(PANEL % BLOCK == 0, "a panel is whole blocks");

typedef float vector
    __attribute__((vector_size(VECTOR * sizeof(float)), aligned(4)));
typedef uint32_t bits
    __attribute__((vector_size(VECTOR * sizeof(uint32_t)), aligned(4)));

static const float log2_e = 1.44269504f;
static const float ln_2 = 0.693147181f;

/* What a panel is packed into: its offsets, then for each of its blocks the
 * maps' rows, one after the other. Columns past the end weigh nothing. */
static void pack_offset(const struct ew_hot_mapped *job, int64_t from,
                        int64_t n, float *room)
{
    const float nothing = -1e4f; /* as is -inf, of a padded vocabulary */
    for (int64_t i = 0; i < PANEL; i++) {
        float l = i >= n        ? nothing
                  : job->offset ? job->offset[from + i]
                                : 0.0f;
        room[i] = log2_e * (l < nothing ? nothing : l);
    }
}

static void pack_row(const struct ew_hot_term *term, int64_t k, int64_t from,
                     int64_t n, int64_t depth, float *room)
{
    const float *map = term->map + k * term->map_stride + from;
    for (int64_t c = 0; c < PANEL; c += BLOCK, room += depth * BLOCK) {
        int64_t here = n - c < 0 ? 0 : n - c < BLOCK ? n - c : BLOCK;
        for (int64_t i = 0; i < here; i++) {
            room[i] = term->sign * map[c + i];
        }
        for (int64_t i = here; i < BLOCK; i++) {
            room[i] = 0;
        }
    }
}

static void pack(const struct ew_hot_mapped *job, int64_t from, int64_t n,
                 float *room)
{
    pack_offset(job, from, n, room);
    room += PANEL;
    int64_t depth = 0;
    for (int t = 0; t < job->n_terms; t++) {
        depth += job->terms[t].k;
    }
    for (int t = 0; t < job->n_terms; t++) {
        for (int64_t k = 0; k < job->terms[t].k; k++, room += BLOCK) {
            pack_row(&job->terms[t], k, from, n, depth, room);
        }
    }
}

/* out (rows, PANEL) = the terms' product for rows from `row` on, b the packed
 * maps. */
static inline __attribute__((always_inline)) void
multiply(const struct ew_hot_mapped *job, int64_t row, const int rows,
         const float *b, float *out)
{
    for (int64_t c = 0; c < PANEL; c += BLOCK) {
        vector sum[DOWN][ACROSS];
        for (int r = 0; r < rows; r++) {
            for (int v = 0; v < ACROSS; v++) {
                sum[r][v] = (vector){0};
            }
        }
        for (int t = 0; t < job->n_terms; t++) {
            const struct ew_hot_term *term = &job->terms[t];
            const float *a = term->dz + row * term->dz_stride;
            for (int64_t k = 0; k < term->k; k++, b += BLOCK) {
                vector right[ACROSS];
                for (int v = 0; v < ACROSS; v++) {
                    right[v] = *(const vector *)(b + v * VECTOR);
                }
                for (int r = 0; r < rows; r++) {
                    float left = a[r * term->dz_stride + k];
                    for (int v = 0; v < ACROSS; v++) {
                        sum[r][v] += left * right[v];
                    }
                }
            }
        }
        for (int r = 0; r < rows; r++) {
            for (int v = 0; v < ACROSS; v++) {
                *(vector *)(out + r * PANEL + c + v * VECTOR) = sum[r][v];
            }
        }
    }
}

static inline vector clamp(vector x)
{
#if defined(__AVX512F__)
    return (vector)_mm512_min_ps(
        _mm512_max_ps((__m512)x, _mm512_set1_ps(-126.0f)),
        _mm512_set1_ps(126.0f));
#elif defined(__AVX2__)
    return (vector)_mm256_min_ps(
        _mm256_max_ps((__m256)x, _mm256_set1_ps(-126.0f)),
        _mm256_set1_ps(126.0f));
#elif defined(__SSE__)
    return (vector)_mm_min_ps(_mm_max_ps((__m128)x, _mm_set1_ps(-126.0f)),
                              _mm_set1_ps(126.0f));
#else
    for (int i = 0; i < VECTOR; i++) {
        x[i] = x[i] < -126.0f ? -126.0f : x[i] > 126.0f ? 126.0f : x[i];
    }
    return x;
#endif
}

/*
 * 2^x to 1e-7 relative, for x cut to [-126, 126]. Adding 1.5 2^23 rounds x to
 * a whole number, which is then in the sum's last bits; the polynomial is the
 * minimax one of degree 5 for 2^r on [-1/2, 1/2].
 */
static inline vector power_of_2(vector x)
{
    x = clamp(x);
    vector whole = x + 12582912.0f;
    vector r = x - (whole - 12582912.0f);
    vector y = r * 1.3276471993e-3f + 9.6755413345e-3f;
    y = y * r + 5.5507132735e-2f;
    y = y * r + 2.4022119724e-1f;
    y = y * r + 6.9314696706e-1f;
    y = y * r + 1.0000000717f;
    return (vector)((bits)y + ((bits)whole << 23));
}

static inline float total(vector x)
{
    for (int n = VECTOR / 2; n > 0; n /= 2) {
        for (int i = 0; i < n; i++) {
            x[i] += x[i + n];
        }
    }
    return x[0];
}

/* A row on its way through a panel. Logarithms are to the base 2, as is the
 * power. */
struct row {
    float inverse; /* of its scale */
    float shift;
    vector dots;
    vector masses;
};

/* A vector of columns, `change` the product there. */
static inline __attribute__((always_inline)) void
use(struct row *row, const float *u, const float *p, const float *change,
    const float *offset, float *next)
{
    vector sum = *(const vector *)change;
    if (u) {
        sum += *(const vector *)u;
    }
    if (next) {
        *(vector *)next = sum;
    }
    vector l = sum * row->inverse + (*(const vector *)offset - row->shift);
    row->dots += *(const vector *)p * l;
    row->masses += power_of_2(l);
}

/* The n < VECTOR columns that are left. */
static void use_rest(struct row *row, const float *u, const float *p,
                     const float *change, const float *offset, float *next,
                     int64_t n)
{
    float rest[3][VECTOR] = {0};
    if (u) {
        memcpy(rest[0], u, (size_t)n * sizeof(*u));
    }
    memcpy(rest[1], p, (size_t)n * sizeof(*p));
    use(row, rest[0], rest[1], change, offset, rest[2]);
    if (next) {
        memcpy(next, rest[2], (size_t)n * sizeof(*next));
    }
}

/* One row's n columns from `from` on. */
static inline __attribute__((always_inline)) void
use_row(const struct ew_hot_mapped *job, int64_t r, int64_t from, int64_t n,
        const float *offset, const float *change, double *dot, double *mass)
{
    int64_t at = r * job->n + from;
    const float *u = job->u ? job->u + at : NULL;
    const float *p = job->p + at;
    float *next = job->next ? job->next + at : NULL;
    struct row row = {.inverse = log2_e / job->scale[r],
                      .shift = job->shift[r] * log2_e};
    int64_t i = 0;
    for (; u && next && i + VECTOR <= n; i += VECTOR) {
        use(&row, u + i, p + i, change + i, offset + i, next + i);
    }
    for (; u && i + VECTOR <= n; i += VECTOR) {
        use(&row, u + i, p + i, change + i, offset + i, NULL);
    }
    for (; i + VECTOR <= n; i += VECTOR) {
        use(&row, NULL, p + i, change + i, offset + i, next ? next + i : NULL);
    }
    if (i < n) {
        use_rest(&row, u ? u + i : NULL, p + i, change + i, offset + i,
                 next ? next + i : NULL, n - i);
    }
    dot[r] += (double)total(row.dots) * (double)ln_2;
    mass[r] += (double)total(row.masses);
}

void EW_HOT_MAPPED(const struct ew_hot_mapped *job, int64_t panel,
                   float *room, double *dot, double *mass)
{
    int64_t from = panel * PANEL;
    int64_t n = job->n - from < PANEL ? job->n - from : PANEL;
    _Alignas(64) float change[DOWN * PANEL];
    pack(job, from, n, room);
    const float *offset = room;
    const float *maps = room + PANEL;
    for (int64_t row = 0; row < job->rows;) {
        int64_t rows = job->rows - row < DOWN ? 1 : DOWN;
        if (rows == DOWN) {
            multiply(job, row, DOWN, maps, change);
        } else {
            multiply(job, row, 1, maps, change);
        }
        for (int64_t r = 0; r < rows; r++, row++) {
            use_row(job, row, from, n, offset, change + r * PANEL, dot, mass);
        }
    }
}
