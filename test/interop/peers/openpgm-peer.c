// An application of OpenPGM for tests: `openpgm-peer send|receive NAME=VALUE…`. Sends or checks the
// messages of peer.h and ends when told to, or a receiver when it has had all that it was to wait for.

#include "peer.h"

#include <errno.h>
#include <pgm/types.h>
#include <pgm/engine.h>
#include <pgm/error.h>
#include <pgm/gsi.h>
#include <pgm/packet.h>
#include <pgm/socket.h>
#include <sys/time.h>

#define IP_UDP_BYTES 28
#define PGM_DATA_BYTES 24
#define WAIT_MS_MAX 10
#define REPAIRS_AT_ONCE 16

static pgm_sock_t *sock;

static void fail_pgm(const char *what, pgm_error_t *error) {
  fail(what, error != NULL && error->message != NULL ? error->message : "unknown");
}

static void set_option(int option, int value, const char *name) {
  if (!pgm_setsockopt(sock, IPPROTO_PGM, option, &value, sizeof value)) fail("option", name);
}

#define SET(option, value) set_option(option, value, #option)

static void set_sender_options(void) {
  int heartbeats[] = {100000, 100000, 100000, 100000, 1300000, 7000000, 16000000, 25000000, 30000000};
  SET(PGM_SEND_ONLY, 1);
  SET(PGM_TXW_SQNS, number_of("window", "4096"));
  SET(PGM_AMBIENT_SPM, 30 * 1000000);
  if (!pgm_setsockopt(sock, IPPROTO_PGM, PGM_HEARTBEAT_SPM, heartbeats, sizeof heartbeats))
    fail("option", "PGM_HEARTBEAT_SPM");
}

static void set_receiver_options(void) {
  SET(PGM_RECV_ONLY, 1);
  SET(PGM_PASSIVE, 0);
  SET(PGM_RXW_SQNS, number_of("window", "4096"));
  SET(PGM_PEER_EXPIRY, 300 * 1000000);
  SET(PGM_SPMR_EXPIRY, 25 * 1000);
  SET(PGM_NAK_BO_IVL, 50 * 1000);
  SET(PGM_NAK_RPT_IVL, 200 * 1000);
  SET(PGM_NAK_RDATA_IVL, 200 * 1000);
  SET(PGM_NAK_DATA_RETRIES, 50);
  SET(PGM_NAK_NCF_RETRIES, 50);
}

static void bind_socket(const struct pgm_addrinfo_t *network) {
  pgm_error_t *error = NULL;
  struct pgm_sockaddr_t address = {.sa_port = number_of("dport", "7500")};
  struct pgm_interface_req_t interface = {
      .ir_interface = network->ai_recv_addrs[0].gsr_interface};
  address.sa_addr.sport = number_of("sport", "0");
  if (!pgm_gsi_create_from_hostname(&address.sa_addr.gsi, &error)) fail_pgm("gsi", error);
  memcpy(&interface.ir_address, &network->ai_send_addrs[0].gsr_addr, sizeof(struct sockaddr_storage));
  if (!pgm_bind3(sock, &address, sizeof address, &interface, sizeof interface, &interface,
                 sizeof interface, &error))
    fail_pgm("bind", error);
}

/** The unicast port must be the multicast port: OpenPGM listens on the latter only. */
static void open_socket(int is_sender) {
  pgm_error_t *error = NULL;
  struct pgm_addrinfo_t *network = NULL;
  int port = number_of("port", "3055");
  if (!pgm_init(&error)) fail_pgm("init", error);
  if (!pgm_getaddrinfo(text_of("network", NULL), NULL, &network, &error)) fail_pgm("network", error);
  if (!pgm_socket(&sock, AF_INET, SOCK_SEQPACKET, IPPROTO_UDP, &error)) fail_pgm("socket", error);
  SET(PGM_UDP_ENCAP_UCAST_PORT, port);
  SET(PGM_UDP_ENCAP_MCAST_PORT, port);
  SET(PGM_MTU, number_of("mtu", "1496"));
  if (is_sender) set_sender_options();
  else set_receiver_options();
  bind_socket(network);
  for (unsigned i = 0; i < network->ai_recv_addrs_len; i++)
    if (!pgm_setsockopt(sock, IPPROTO_PGM, PGM_JOIN_GROUP, &network->ai_recv_addrs[i],
                        sizeof(struct pgm_group_source_req)))
      fail("join", strerror(errno));
  if (!pgm_setsockopt(sock, IPPROTO_PGM, PGM_SEND_GROUP, &network->ai_send_addrs[0],
                      sizeof(struct pgm_group_source_req)))
    fail("group", strerror(errno));
  SET(PGM_MULTICAST_LOOP, number_of("loop", "0"));
  SET(PGM_MULTICAST_HOPS, 1);
  SET(PGM_NOBLOCK, 1);
  if (!pgm_connect(sock, &error)) fail_pgm("connect", error);
  pgm_freeaddrinfo(network);
}

/** Waits for the network or for what OpenPGM wants to do next, at most `wait_ms`. */
static void wait_for_work(int status, int wait_ms) {
  struct pollfd fds[8];
  int fd_count = 8;
  struct timeval left;
  socklen_t left_bytes = sizeof left;
  if (status == PGM_IO_STATUS_TIMER_PENDING &&
      pgm_getsockopt(sock, IPPROTO_PGM, PGM_TIME_REMAIN, &left, &left_bytes)) {
    int left_ms = left.tv_sec * 1000 + (left.tv_usec + 999) / 1000;
    if (left_ms < wait_ms) wait_ms = left_ms;
  }
  if (pgm_poll_info(sock, fds, &fd_count, POLLIN) < 0) fail("poll", "no sockets");
  poll(fds, fd_count, wait_ms);
}

/** Answers requests and does what is due; OpenPGM repairs one packet a call. The last status. */
static int serve(char *buffer) {
  size_t length;
  int status = PGM_IO_STATUS_WOULD_BLOCK;
  for (int i = 0; i < REPAIRS_AT_ONCE; i++)
    status = pgm_recv(sock, buffer, MESSAGE_BYTES_MAX, 0, &length, NULL);
  return status;
}

/**
 * Debian's OpenPGM copies with aligned stores and crashes unless message and packet lie alike in
 * their 16 bytes: whole messages begin at 0, those that it cuts at 4, with an MTU of 1496.
 */
static char *place_of_message(char *buffer, size_t size) {
  size_t whole_max = number_of("mtu", "1496") - IP_UDP_BYTES - PGM_DATA_BYTES;
  return buffer + (size > whole_max ? 4 : 0);
}

/** Serves until message `index` is due at `pace` messages a second. */
static void serve_until_due(uint32_t index, int pace, char *upstream) {
  static double begun_at_ms;
  if (index == 1) begun_at_ms = now_ms();
  double due_at_ms = begun_at_ms + (index - 1) * 1000.0 / pace;
  for (;;) {
    int status = serve(upstream);
    double left_ms = due_at_ms - now_ms();
    if (left_ms < 1) return;
    wait_for_work(status, left_ms < WAIT_MS_MAX ? (int)left_ms : WAIT_MS_MAX);
  }
}

/**
 * Keeps the pace itself: OpenPGM's rate limit never lets a message through that is larger than what
 * it allows in a millisecond.
 */
static void send_messages(void) {
  char *messages = NULL, *upstream = malloc(MESSAGE_BYTES_MAX);
  uint32_t count = number_of("count", NULL), seed = number_of("seed", "1");
  if (posix_memalign((void **)&messages, 16, MESSAGE_BYTES_MAX) != 0) fail("memory", "none");
  int pace = number_of("pace", "1000");
  for (uint32_t index = 1; index <= count && !is_told_to_end(); index++) {
    char *message = place_of_message(messages, size_of_message(index));
    size_t size = make_message(message, seed, index);
    serve_until_due(index, pace, upstream);
    int status = pgm_send(sock, message, size, NULL);
    while (status != PGM_IO_STATUS_NORMAL && !is_told_to_end()) {
      if (status == PGM_IO_STATUS_ERROR) fail("send", strerror(errno));
      wait_for_work(serve(upstream), WAIT_MS_MAX);
      status = pgm_send(sock, message, size, NULL);
    }
  }
  say("sent");
  while (!is_told_to_end()) wait_for_work(serve(upstream), WAIT_MS_MAX);
  say("done");
}

static void receive_messages(void) {
  char *buffer = malloc(MESSAGE_BYTES_MAX);
  begin_receiving();
  say("ready");
  while (!has_all() && !is_told_to_end()) {
    size_t length = 0;
    pgm_error_t *error = NULL;
    int status = pgm_recv(sock, buffer, MESSAGE_BYTES_MAX, 0, &length, &error);
    if (status == PGM_IO_STATUS_NORMAL) take_message(buffer, length);
    else if (status == PGM_IO_STATUS_RESET) seen.resets++;
    else if (status == PGM_IO_STATUS_ERROR) fail_pgm("receive", error);
    else wait_for_work(status, WAIT_MS_MAX);
    if (error != NULL) pgm_error_free(error);
  }
  say_what_was_seen();
}

int main(int argc, char **argv) {
  arg_count = argc;
  args = argv;
  int is_sender = argc > 1 && strcmp(argv[1], "send") == 0;
  size_count = list_of(text_of("sizes", "200"), sizes, SIZES_MAX);
  open_socket(is_sender);
  if (is_sender) send_messages();
  else receive_messages();
  pgm_close(sock, 1);
  return 0;
}
