// What the two test peers share: settings from name=value arguments, messages that both ends can
// make, the check of what arrived, and JSON lines on standard output. Compiled by peers.ts.
//
// Message i of seed s is the text "m<s>-<i>:" filled up with letters to its size, or cut to it.
// Its size is that of the list, taken in turn. The same letters are made by messages.ts.

#ifndef PEER_H
#define PEER_H

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SIZES_MAX 64
#define SEEDS_MAX 8
#define MESSAGE_BYTES_MAX (4 * 1024 * 1024)

static int arg_count;
static char **args;

static void fail(const char *what, const char *why) {
  printf("{\"kind\":\"failed\",\"what\":\"%s: %s\"}\n", what, why);
  fflush(stdout);
  exit(1);
}

/** The value of NAME=VALUE among the arguments, or `otherwise`; without that it is required. */
static const char *text_of(const char *name, const char *otherwise) {
  size_t length = strlen(name);
  for (int i = 2; i < arg_count; i++)
    if (strncmp(args[i], name, length) == 0 && args[i][length] == '=') return args[i] + length + 1;
  if (otherwise == NULL) fail("missing argument", name);
  return otherwise;
}

static int number_of(const char *name, const char *otherwise) {
  return atoi(text_of(name, otherwise));
}

/** Numbers separated by commas; returns how many. */
static int list_of(const char *text, int *numbers, int max) {
  int count = 0;
  for (const char *at = text; at != NULL && count < max; count++) {
    numbers[count] = atoi(at);
    at = strchr(at, ',');
    if (at != NULL) at++;
  }
  return count;
}

static int sizes[SIZES_MAX];
static int size_count;

static size_t size_of_message(uint32_t index) { return sizes[(index - 1) % size_count]; }

/** Writes message `index` of `seed` and returns its size. */
static size_t make_message(char *into, uint32_t seed, uint32_t index) {
  size_t size = size_of_message(index);
  char prefix[32];
  size_t prefix_bytes = snprintf(prefix, sizeof prefix, "m%u-%u:", seed, index);
  uint32_t x = (seed * 2654435761u) ^ (index * 40503u) ^ 0x9e3779b9u;
  if (x == 0) x = 1;
  for (size_t i = 0; i < size; i++) {
    if (i < prefix_bytes) {
      into[i] = prefix[i];
      continue;
    }
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    into[i] = 'a' + x % 26;
  }
  return size;
}

/** What a receiver has seen. */
static struct {
  uint32_t count;
  uint32_t last;
  int seed_count;
  int seeds[SEEDS_MAX];
  uint32_t next[SEEDS_MAX]; // 0: the first that comes is right
  uint32_t first[SEEDS_MAX];
  uint32_t received;
  uint32_t resets;
  uint32_t wrong;
  char first_wrong[256];
} seen;

static char *expected_message;

static void begin_receiving(void) {
  int late = number_of("late", "0");
  seen.count = number_of("count", "2000000000");
  seen.last = number_of("last", "0");
  seen.seed_count = list_of(text_of("seeds", "1"), seen.seeds, SEEDS_MAX);
  for (int i = 0; i < seen.seed_count; i++) seen.next[i] = late ? 0 : 1;
  expected_message = malloc(MESSAGE_BYTES_MAX);
}

/** True when `count` messages have come, or number `last` of the last of the senders. */
static int has_all(void) {
  uint32_t last = seen.next[seen.seed_count - 1] - 1;
  return seen.received >= seen.count || (seen.last > 0 && last == seen.last);
}

static int is_expected(int which, const char *bytes, size_t length) {
  if (seen.next[which] == 0) return 0;
  size_t size = make_message(expected_message, seen.seeds[which], seen.next[which]);
  return size == length && memcmp(expected_message, bytes, size) == 0;
}

static void note_wrong(const char *bytes, size_t length) {
  if (seen.wrong++ > 0) return;
  char start[33] = "";
  for (size_t i = 0; i < length && i < 32; i++)
    start[i] = bytes[i] >= ' ' && bytes[i] <= '~' && bytes[i] != '"' && bytes[i] != '\\' ? bytes[i] : '?';
  snprintf(seen.first_wrong, sizeof seen.first_wrong,
           "message %u as received, %zu bytes, starts with %s; seed %d was to send number %u",
           seen.received, length, start, seen.seeds[0], seen.next[0]);
}

/** Finds out by the message's own text where its sender is, and goes on from there. */
static void resume_at(const char *bytes, size_t length) {
  char text[32] = "";
  unsigned seed, index;
  memcpy(text, bytes, length < sizeof text - 1 ? length : sizeof text - 1);
  if (sscanf(text, "m%u-%u:", &seed, &index) != 2) return note_wrong(bytes, length);
  for (int i = 0; i < seen.seed_count; i++) {
    if ((unsigned)seen.seeds[i] != seed) continue;
    int is_first = seen.next[i] == 0;
    if (!is_first) note_wrong(bytes, length);
    seen.next[i] = index;
    if (!is_expected(i, bytes, length)) note_wrong(bytes, length);
    else if (is_first) seen.first[i] = index;
    seen.next[i] = index + 1;
    return;
  }
  note_wrong(bytes, length);
}

/** Counts and checks one message. */
static void take_message(const char *bytes, size_t length) {
  seen.received++;
  int which = 0;
  while (which < seen.seed_count && !is_expected(which, bytes, length)) which++;
  if (which < seen.seed_count) {
    if (seen.first[which] == 0) seen.first[which] = seen.next[which];
    seen.next[which]++;
  } else {
    resume_at(bytes, length);
  }
  if (seen.received % 100 == 0) {
    printf("{\"kind\":\"progress\",\"received\":%u}\n", seen.received);
    fflush(stdout);
  }
}

static void say(const char *kind) {
  printf("{\"kind\":\"%s\"}\n", kind);
  fflush(stdout);
}

static void say_what_was_seen(void) {
  printf("{\"kind\":\"done\",\"received\":%u,\"resets\":%u,\"wrong\":%u,\"firstWrong\":\"%s\",\"firsts\":[",
         seen.received, seen.resets, seen.wrong, seen.first_wrong);
  for (int i = 0; i < seen.seed_count; i++) printf("%s%u", i > 0 ? "," : "", seen.first[i]);
  printf("]}\n");
  fflush(stdout);
}

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000.0 + now.tv_nsec / 1000000.0;
}

/** True when the test has closed our standard input: time to end. */
static int is_told_to_end(void) {
  struct pollfd in = {.fd = 0, .events = POLLIN};
  char byte;
  return poll(&in, 1, 0) > 0 && read(0, &byte, 1) <= 0;
}

#endif
