/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The divergence of logits that differ from known ones by a product of low
 * rank: a block of the product is made in registers and used up at once, so
 * that neither it nor the logits are ever written down. Built once for each
 * instruction set, as hot.c.
 */
#include "hot.h"

#include "hot_exp.h"

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

/* The maps' columns [from, from + PANEL), one row after the other; columns
 * past the end are 0. */
static void pack(const struct ew_hot_mapped *job, int64_t from, float *room)
{
    int64_t n = job->n - from < PANEL ? job->n - from : PANEL;
    for (int t = 0; t < job->n_terms; t++) {
        const struct ew_hot_term *term = &job->terms[t];
        for (int64_t k = 0; k < term->k; k++, room += PANEL) {
            const float *map = term->map + k * term->map_stride + from;
            for (int64_t i = 0; i < n; i++) {
                room[i] = term->sign * map[i];
            }
            for (int64_t i = n; i < PANEL; i++) {
                room[i] = 0;
            }
        }
    }
}

/* out (rows, PANEL) = the terms' product for rows from `row` on. */
static inline __attribute__((always_inline)) void
multiply(const struct ew_hot_mapped *job, int64_t row, const int rows,
         const float *room, float *out)
{
    for (int64_t c = 0; c < PANEL; c += BLOCK) {
        vector sum[DOWN][ACROSS];
        for (int r = 0; r < rows; r++) {
            for (int v = 0; v < ACROSS; v++) {
                sum[r][v] = (vector){0};
            }
        }
        const float *b = room + c;
        for (int t = 0; t < job->n_terms; t++) {
            const struct ew_hot_term *term = &job->terms[t];
            const float *a = term->dz + row * term->dz_stride;
            for (int64_t k = 0; k < term->k; k++, b += PANEL) {
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

/* One row's n columns from `from` on, `change` the product there. */
static inline __attribute__((always_inline)) void
use(const struct ew_hot_mapped *job, int64_t row, int64_t from,
    const int64_t n, float *change, double *dot, double *mass)
{
    int64_t at = row * job->n + from;
    const float *u = job->u + at;
    const float *p = job->p + at;
    float inverse = 1.0f / job->scale[row];
    float shift = job->shift[row];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        change[i] += u[i];
    }
    if (job->next) {
        memcpy(job->next + at, change, (size_t)n * sizeof(*change));
    }
    if (job->offset) {
        const float *offset = job->offset + from;
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            change[i] = change[i] * inverse + (offset[i] - shift);
        }
    } else {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            change[i] = change[i] * inverse - shift;
        }
    }
    float part_dot = 0;
    float part_mass = 0;
#pragma omp simd reduction(+ : part_dot, part_mass)
    for (int64_t i = 0; i < n; i++) {
        float l = change[i];
        part_dot += p[i] * (l < -1e4f ? -1e4f : l);
        part_mass += ew_exp_f(l);
    }
    dot[row] += (double)part_dot;
    mass[row] += (double)part_mass;
}

void EW_HOT_MAPPED(const struct ew_hot_mapped *job, int64_t panel,
                   float *room, double *dot, double *mass)
{
    int64_t from = panel * PANEL;
    int64_t n = job->n - from < PANEL ? job->n - from : PANEL;
    _Alignas(64) float change[DOWN * PANEL];
    pack(job, from, room);
    for (int64_t row = 0; row < job->rows;) {
        int64_t rows = job->rows - row < DOWN ? 1 : DOWN;
        if (rows == DOWN) {
            multiply(job, row, DOWN, room, change);
        } else {
            multiply(job, row, 1, room, change);
        }
        for (int64_t r = 0; r < rows; r++, row++) {
            if (n == PANEL) {
                use(job, row, from, PANEL, change + r * PANEL, dot, mass);
            } else {
                use(job, row, from, n, change + r * PANEL, dot, mass);
            }
        }
    }
}
