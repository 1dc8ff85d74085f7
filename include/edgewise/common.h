/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes and the few macros every header uses.
 */
#ifndef EW_COMMON_H
#define EW_COMMON_H

#ifdef __cplusplus
#define EW_BEGIN_DECLS extern "C" {
#define EW_END_DECLS }
#else
#define EW_BEGIN_DECLS
#define EW_END_DECLS
#endif

#if defined(__GNUC__)
#define EW_MUST_CHECK __attribute__((warn_unused_result))
#define EW_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define EW_NORETURN __attribute__((noreturn))
#else
#define EW_MUST_CHECK
#define EW_PRINTF(fmt, args)
#define EW_NORETURN
#endif

#define EW_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
