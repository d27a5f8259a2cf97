/* SPDX-License-Identifier: Apache-2.0 */
/* The allocator itself: elsewhere in these tests ASan's is in its place. */
#define SLAB_UNDER_ASAN
#define slab_alloc tested_alloc
#define slab_calloc tested_calloc
#define slab_free tested_free
#define slab_trim tested_trim
#define slab_strdup tested_strdup
#define slab_strfree tested_strfree
#define slab_str_replace tested_str_replace
#include "../../src/base/slab.c"

#include "unit.h"

#define PIECES 4000
#define LARGEST 3000

static struct {
    unsigned char *p;
    size_t size;
} pieces[PIECES];

static unsigned seed = 1;

static unsigned any(unsigned n)
{
    seed = seed * 1103515245 + 12345;
    return (seed >> 8) % n;
}

static void take_piece(size_t i)
{
    pieces[i].size = any(4) ? 1 + any(700) : any(LARGEST);
    pieces[i].p = any(2) ? slab_alloc(pieces[i].size) : slab_calloc(pieces[i].size);
    ck_assert(!((uintptr_t)pieces[i].p % ALIGN));
    memset(pieces[i].p, (int)i & 0xff, pieces[i].size);
}

static void give_back(size_t i)
{
    size_t same = 0;

    while (same < pieces[i].size && pieces[i].p[same] == (i & 0xff))
        same++;
    ck_assert_uint_eq(same, pieces[i].size);
    slab_free(pieces[i].p, pieces[i].size);
    pieces[i].p = NULL;
}

START_TEST(pieces_do_not_meet_and_empty_slabs_are_given_back)
{
    for (int round = 0; round < 4; round++) {
        for (int n = 0; n < 3 * PIECES; n++) {
            size_t i = any(PIECES);

            if (pieces[i].p)
                give_back(i);
            else
                take_piece(i);
        }
        for (size_t i = 0; i < PIECES; i++)
            if (pieces[i].p)
                give_back(i);
        ck_assert_uint_eq(heap.slabs, heap.n_empty);
        ck_assert_uint_le(heap.slabs, KEEP_EMPTY);
    }
    slab_free(NULL, 10);
    slab_trim();
    ck_assert_uint_eq(heap.slabs, 0);
}
END_TEST

START_TEST(each_size_has_the_smallest_class_that_holds_it)
{
    for (size_t size = 1; size <= SIZE_LIMIT; size++) {
        size_t class = class_of(size);

        ck_assert_uint_lt(class, CLASSES);
        ck_assert_uint_ge(piece_size(class), size);
        ck_assert(!class || piece_size(class - 1) < size);
        ck_assert_uint_le(piece_size(class), size + MAX(ALIGN, size / STEPS));
        ck_assert(!(piece_size(class) % ALIGN));
    }
}
END_TEST

void suite_slab(TCase *tc)
{
    T(pieces_do_not_meet_and_empty_slabs_are_given_back);
    T(each_size_has_the_smallest_class_that_holds_it);
}
