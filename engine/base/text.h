/* SPDX-License-Identifier: MIT */
/* Text from files, made fit for messages. */
#ifndef SPC_BASE_TEXT_H
#define SPC_BASE_TEXT_H

/* Replaces control characters and what is no UTF-8, a sequence that was cut short for one, by '?'.
 * Names in model files may hold any bytes; those who show or send messages need text. */
void spc__text_clean(char *text);

#endif
