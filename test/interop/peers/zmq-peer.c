// An application of ZeroMQ for tests: `zmq-peer publish|subscribe NAME=VALUE…`, over epgm://. Sends
// or checks the messages of peer.h, as the last part of several if `topic` is given, and ends when
// told to, or a subscriber when it has had all that it was to wait for.

#include "peer.h"

#include <errno.h>
#include <zmq.h>

#define IDLE_MS 20

static void *context;
static void *sock;

static void set_option(int option, int value, const char *name) {
  if (zmq_setsockopt(sock, option, &value, sizeof value) != 0) fail(name, zmq_strerror(errno));
}

#define SET(option, value) set_option(option, value, #option)

static void open_socket(int is_publisher) {
  context = zmq_ctx_new();
  sock = zmq_socket(context, is_publisher ? ZMQ_PUB : ZMQ_SUB);
  SET(ZMQ_RATE, number_of("rate", "40000"));
  SET(ZMQ_RECOVERY_IVL, number_of("recovery", "2000"));
  SET(ZMQ_SNDHWM, 0);
  SET(ZMQ_RCVHWM, 0);
  SET(ZMQ_LINGER, 0);
  if (!is_publisher && zmq_setsockopt(sock, ZMQ_SUBSCRIBE, "", 0) != 0)
    fail("subscribe", zmq_strerror(errno));
  if (zmq_connect(sock, text_of("endpoint", NULL)) != 0) fail("connect", zmq_strerror(errno));
}

static void send_part(const char *bytes, size_t length, int flags) {
  if (zmq_send(sock, bytes, length, flags) < 0) fail("send", zmq_strerror(errno));
}

/** Waits until message `index` is due at `pace` messages a second. */
static void wait_until_due(uint32_t index, int pace) {
  static double begun_at_ms;
  if (index == 1) begun_at_ms = now_ms();
  double left_ms = begun_at_ms + (index - 1) * 1000.0 / pace - now_ms();
  if (left_ms >= 1) poll(NULL, 0, (int)left_ms);
}

static void publish_messages(void) {
  char *message = malloc(MESSAGE_BYTES_MAX);
  uint32_t count = number_of("count", NULL), seed = number_of("seed", "1");
  const char *topic = text_of("topic", "");
  int pace = number_of("pace", "1000");
  for (uint32_t index = 1; index <= count && !is_told_to_end(); index++) {
    size_t size = make_message(message, seed, index);
    wait_until_due(index, pace);
    if (topic[0] != 0) send_part(topic, strlen(topic), ZMQ_SNDMORE);
    send_part(message, size, 0);
  }
  say("sent");
  while (!is_told_to_end()) poll(NULL, 0, IDLE_MS);
  say("done");
}

/** Reads the parts of a message, of which all but the last must be `topic`. */
static void take_parts(const char *topic) {
  zmq_msg_t part;
  int part_count = 0, more = 1;
  while (more) {
    zmq_msg_init(&part);
    if (zmq_msg_recv(&part, sock, 0) < 0) fail("receive", zmq_strerror(errno));
    const char *bytes = zmq_msg_data(&part);
    size_t length = zmq_msg_size(&part);
    more = zmq_msg_more(&part);
    part_count++;
    if (!more) take_message(bytes, length);
    else if (length != strlen(topic) || memcmp(bytes, topic, length) != 0) note_wrong(bytes, length);
    zmq_msg_close(&part);
  }
  if (part_count != (topic[0] == 0 ? 1 : 2)) note_wrong("parts", part_count);
}

static void receive_messages(void) {
  const char *topic = text_of("topic", "");
  begin_receiving();
  say("ready");
  while (!has_all() && !is_told_to_end()) {
    zmq_pollitem_t item = {.socket = sock, .events = ZMQ_POLLIN};
    if (zmq_poll(&item, 1, IDLE_MS) > 0) take_parts(topic);
  }
  say_what_was_seen();
}

int main(int argc, char **argv) {
  arg_count = argc;
  args = argv;
  int is_publisher = argc > 1 && strcmp(argv[1], "publish") == 0;
  size_count = list_of(text_of("sizes", "100"), sizes, SIZES_MAX);
  open_socket(is_publisher);
  if (is_publisher) publish_messages();
  else receive_messages();
  zmq_close(sock);
  zmq_ctx_term(context);
  return 0;
}
