/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exit statuses of `ambit` and the words that explain them: ambit(1), "EXIT
 * STATUS".  Programs outside the project are written against these numbers.
 */
#ifndef AMBIT_EXIT_H
#define AMBIT_EXIT_H

/* X(name, number, meaning) */
#define AMBIT_EXITS(X)                                                   \
	X(FAILED, 1, "the command failed")                               \
	X(USAGE, 2, "the command line was wrong")                        \
	X(LIFETIME, 124, "the agent's lifetime ended")                   \
	X(REFUSED, 125, "the launch was refused")                        \
	X(NOT_EXECUTABLE, 126, "the command could not be executed")      \
	X(NOT_FOUND, 127, "the command was not found")                   \
	X(SIGNAL, 128, "plus N: signal N ended the agent")

#define AMBIT_EXIT_ENUM(name, number, meaning) AMBIT_EXIT_##name = number,
enum ambit_exit { AMBIT_EXITS(AMBIT_EXIT_ENUM) };
#undef AMBIT_EXIT_ENUM

#endif
