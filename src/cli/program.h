/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program but for main(): tests call it in a child process, where
 * libtorch, which takes seconds to load, is loaded already.
 */
#ifndef EW_CLI_PROGRAM_H
#define EW_CLI_PROGRAM_H

/* Run the command line; the exit status, after everything is flushed. Once
 * in a process: it sets the locale and catches signals. */
int cli_program(int argc, char **argv);

#endif
