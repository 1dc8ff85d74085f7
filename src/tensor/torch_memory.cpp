/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of CPU tensors. The same few sizes come and go thousands of times a
 * second, and the C library's search for aligned blocks of them was a tenth
 * of an ACDC run; a freed block is therefore kept for the next tensor of its
 * size class. Classes are a quarter of a power of two apart.
 */
#include "torch.hpp"

#include <cstring>
#include <mutex>

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

namespace ew
{

namespace
{

struct block {
    block *next;  /* while it is kept */
    size_t bytes; /* with this head */
    unsigned klass;
};

constexpr size_t head_bytes = 64; /* keeps the data aligned as torch's */
static_assert(sizeof(block) <= head_bytes, "the head fits");
constexpr unsigned n_classes = 4 * 64;
constexpr size_t largest = size_t{32} << 20; /* more is mapped afresh */
constexpr size_t most_kept = size_t{256} << 20; /* of one class; twice in all */

std::mutex lock;
block *kept[n_classes];
size_t kept_bytes[n_classes];
size_t n_kept; /* bytes in all */

/* The class of at least `bytes`, which becomes the class's size. */
unsigned class_of(size_t *bytes)
{
    size_t n = *bytes < 64 ? 64 : *bytes;
    unsigned log = 63u - static_cast<unsigned>(__builtin_clzll(n));
    size_t step = size_t{1} << (log - 2);
    size_t steps = (n + step - 1) / step; /* 4 to 8 */
    *bytes = steps * step;
    return 4 * log + static_cast<unsigned>(steps - 4);
}

/* Make room: give back the class that holds most. The lock is held. */
void release_most()
{
    size_t most = 0;
    for (size_t i = 1; i < n_classes; i++) {
        most = kept_bytes[i] > kept_bytes[most] ? i : most;
    }
    n_kept -= kept_bytes[most];
    kept_bytes[most] = 0;
    while (block *b = kept[most]) {
        kept[most] = b->next;
        c10::free_cpu(b);
    }
}

void give(void *data)
{
    if (!data) {
        return;
    }
    block *b = reinterpret_cast<block *>(static_cast<char *>(data) -
                                         head_bytes);
    if (b->bytes > largest) {
        c10::free_cpu(b);
        return;
    }
    std::lock_guard<std::mutex> hold(lock);
    if (kept_bytes[b->klass] + b->bytes > most_kept) {
        c10::free_cpu(b); /* as much as that of one size is enough */
        return;
    }
    if (n_kept + b->bytes > 2 * most_kept) {
        release_most();
    }
    b->next = kept[b->klass];
    kept[b->klass] = b;
    kept_bytes[b->klass] += b->bytes;
    n_kept += b->bytes;
}

void *take(size_t wanted)
{
    if (wanted == 0) {
        return nullptr;
    }
    size_t bytes = wanted + head_bytes;
    unsigned klass = 0;
    if (bytes <= largest) {
        klass = class_of(&bytes);
        std::lock_guard<std::mutex> hold(lock);
        if (block *b = kept[klass]) {
            kept[klass] = b->next;
            kept_bytes[klass] -= b->bytes;
            n_kept -= b->bytes;
            return reinterpret_cast<char *>(b) + head_bytes;
        }
    }
    auto *b = static_cast<block *>(c10::alloc_cpu(bytes)); /* may throw */
    b->bytes = bytes;
    b->klass = klass;
    return reinterpret_cast<char *>(b) + head_bytes;
}

/* Which of these are virtual, and const, depends on libtorch's version. */
struct kept_memory final : c10::Allocator {
    static at::DataPtr pointer(size_t n)
    {
        void *data = take(n);
        return {data, data, &give, at::Device(at::DeviceType::CPU)};
    }
    at::DataPtr allocate(size_t n) const { return pointer(n); }
    at::DataPtr allocate(size_t n) { return pointer(n); }
    at::DeleterFnPtr raw_deleter() const { return &give; }
    void copy_data(void *to, const void *from, size_t n) const
    {
        std::memcpy(to, from, n);
    }
};

} // namespace

void keep_memory()
{
#ifndef __SANITIZE_ADDRESS__ /* which wants to see each block freed */
    static auto *memory = new kept_memory; /* outlives all tensors */
    c10::SetCPUAllocator(memory, 1);
#endif
}

} // namespace ew
