/* A load generator for loopback. It reads every response whole and counts as an error whatever is not one.
 *
 *     load --port P --body FILE --connections N --seconds S [--requests N] [--rate R] [--stream] [--until TEXT]
 *          [--least-bytes N] [--path PATH] [--header 'Name: value']...
 *
 * Without --rate the loop is closed: each connection sends again as soon as it has its answer.
 * With --rate it is open: calls are due at even times whatever the server does, and a latency runs from the
 * moment its call was due, so a stalled server cannot hide behind the calls it kept from being sent
 * (coordinated omission).
 * An error: a status other than 200, a response cut short, fewer body bytes than --least-bytes, or with --stream
 * no closing [DONE], or no TEXT (of at most 63 bytes) where --until gives one. A whole 503 is counted as refused, too. With --stream a latency is the time to the first byte of the body.
 * --requests ends the run after so many calls. The result is one line of JSON. */
#define _GNU_SOURCE
#include "http1.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 256 * 1024, HEAD_SIZE = 16 * 1024, LINE_SIZE = 16, MARK_SIZE = 64, TOO_MANY_ERRORS = 1000 };
#define DRAIN_NS 30000000000ull

struct connection {
    int fd, index;
    enum { IDLE, SENDING, READING_HEAD, READING_BODY } stage;
    size_t sent;
    uint64_t due, first_byte, body_bytes;
    char head[HEAD_SIZE];
    size_t head_size;
    struct body body;
    int status, closing, done_seen;
    char line[LINE_SIZE]; /* the beginning of the event line being read */
    size_t line_length;
    char tail[2 * MARK_SIZE]; /* the body's last bytes, where the mark of its end may have begun */
    size_t tail_length;
};

struct options {
    int port, connections, streamed;
    double seconds, rate;
    uint64_t requests, least_bytes;
    const char *path, *body_file, *until, *headers[16];
    int header_count;
};

static struct options options = {.connections = 1, .seconds = 1, .path = "/v1/chat/completions"};
static struct connection *connections;
static int *idle, idle_count;
static int epoll;
static char *request;
static size_t request_length;
static uint64_t started, ended, issued, finished, errors, refused, unanswered, chunks;
static uint64_t *latencies;
static size_t latency_count, latency_room;
static char last_error[256];

static void fail(const char *why) {
    perror(why);
    exit(1);
}

/* ---- the request, made once */

static void read_options(int count, char **arguments) {
    static const struct option known[] = {
        {"port", 1, 0, 'p'}, {"body", 1, 0, 'b'}, {"connections", 1, 0, 'c'}, {"seconds", 1, 0, 's'},
        {"requests", 1, 0, 'n'}, {"rate", 1, 0, 'r'}, {"stream", 0, 0, 'S'}, {"least-bytes", 1, 0, 'l'},
        {"path", 1, 0, 'P'}, {"until", 1, 0, 'u'}, {"header", 1, 0, 'H'}, {0, 0, 0, 0}};
    int option;
    while ((option = getopt_long(count, arguments, "", known, NULL)) != -1) {
        switch (option) {
        case 'p': options.port = atoi(optarg); break;
        case 'b': options.body_file = optarg; break;
        case 'c': options.connections = atoi(optarg); break;
        case 's': options.seconds = atof(optarg); break;
        case 'n': options.requests = strtoull(optarg, NULL, 10); break;
        case 'r': options.rate = atof(optarg); break;
        case 'S': options.streamed = 1; break;
        case 'l': options.least_bytes = strtoull(optarg, NULL, 10); break;
        case 'P': options.path = optarg; break;
        case 'u': options.until = optarg; break;
        case 'H':
            if (options.header_count < 16) options.headers[options.header_count++] = optarg;
            break;
        default: exit(2);
        }
    }
    if (options.until && (!*options.until || strlen(options.until) >= MARK_SIZE)) {
        fprintf(stderr, "load: --until takes 1 to %d bytes\n", MARK_SIZE - 1);
        exit(2);
    }
    if (!options.port || !options.body_file || options.connections < 1) {
        fprintf(stderr, "load: --port, --body and at least one connection are needed\n");
        exit(2);
    }
}

static void make_request(void) {
    FILE *file = fopen(options.body_file, "rb");
    if (!file) fail(options.body_file);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    request = malloc(size + HEAD_SIZE);
    if (!request) fail("load: memory");
    int at = snprintf(request, HEAD_SIZE, "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n", options.path, options.port, size);
    for (int i = 0; i < options.header_count; i++) at += snprintf(request + at, (size_t)(HEAD_SIZE - at), "%s\r\n", options.headers[i]);
    at += snprintf(request + at, (size_t)(HEAD_SIZE - at), "\r\n");
    if (fread(request + at, 1, size, file) != size) fail(options.body_file);
    request_length = (size_t)at + size;
    fclose(file);
}

/* ---- connections */

static void watch(struct connection *connection, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = connection};
    epoll_ctl(epoll, operation, connection->fd, &event);
}

static void dial(struct connection *connection) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connection->fd < 0 || connect(connection->fd, (struct sockaddr *)&address, sizeof address)) fail("load: connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(connection, EPOLL_CTL_ADD, EPOLLIN);
}

static void redial(struct connection *connection) {
    close(connection->fd);
    dial(connection);
}

static void rest(struct connection *connection) {
    connection->stage = IDLE;
    idle[idle_count++] = connection->index;
}

/* ---- one call */

static void record(uint64_t latency) {
    if (latency_count == latency_room) {
        latency_room = latency_room ? latency_room * 2 : 65536;
        latencies = realloc(latencies, latency_room * sizeof *latencies);
        if (!latencies) fail("load: memory");
    }
    latencies[latency_count++] = latency;
}

static int is_whole(const struct connection *connection) {
    return connection->stage == READING_BODY && connection->body.state == BODY_WHOLE;
}

static void finish(struct connection *connection, const char *error) {
    ended = nanoseconds();
    finished++;
    if (error) {
        errors++;
        refused += connection->status == 503 && is_whole(connection);
        snprintf(last_error, sizeof last_error, "%s (status %d, %llu body bytes)", error, connection->status, (unsigned long long)connection->body_bytes);
    } else {
        record((options.streamed ? connection->first_byte : ended) - connection->due);
    }
    if (connection->closing || (error && !is_whole(connection))) redial(connection);
    rest(connection);
}

static void push(struct connection *connection) {
    while (connection->sent < request_length) {
        ssize_t sent = send(connection->fd, request + connection->sent, request_length - connection->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) {
            watch(connection, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return;
        }
        if (sent <= 0) {
            finish(connection, "cannot send");
            return;
        }
        connection->sent += (size_t)sent;
        if (connection->sent < request_length) continue;
    }
    watch(connection, EPOLL_CTL_MOD, EPOLLIN);
    if (connection->stage == SENDING) connection->stage = READING_HEAD;
}

static void call(uint64_t due) {
    struct connection *connection = &connections[idle[--idle_count]];
    connection->stage = SENDING;
    connection->due = due;
    connection->sent = connection->head_size = connection->line_length = connection->tail_length = 0;
    connection->first_byte = connection->body_bytes = 0;
    connection->status = connection->closing = connection->done_seen = 0;
    issued++;
    push(connection);
}

static void end_line(struct connection *connection) {
    const char *line = connection->line;
    size_t length = connection->line_length;
    connection->line_length = 0;
    if (length < 5 || memcmp(line, "data:", 5)) return;
    size_t at = length > 5 && line[5] == ' ' ? 6 : 5;
    if (length >= at + 6 && !memcmp(line + at, "[DONE]", 6)) connection->done_seen = 1;
    else chunks++;
}

/* Whether the mark is in these bytes, or across them and those before. */
static void look_for_mark(struct connection *connection, const char *data, size_t length) {
    size_t mark = strlen(options.until), begin = length < MARK_SIZE ? length : MARK_SIZE;
    memcpy(connection->tail + connection->tail_length, data, begin);
    size_t known = connection->tail_length + begin;
    if (memmem(connection->tail, known, options.until, mark) || memmem(data, length, options.until, mark)) connection->done_seen = 1;
    const char *end = length < MARK_SIZE ? connection->tail + known : data + length;
    size_t keep = known < mark - 1 ? known : mark - 1;
    memmove(connection->tail, end - keep, keep);
    connection->tail_length = keep;
}

static void take_body(void *owner, const char *data, size_t length) {
    struct connection *connection = owner;
    if (!connection->body_bytes) connection->first_byte = nanoseconds();
    connection->body_bytes += length;
    if (!options.streamed) return;
    if (options.until) {
        look_for_mark(connection, data, length);
        return;
    }
    for (size_t at = 0; at < length;) {
        const char *newline = memchr(data + at, '\n', length - at);
        size_t take = newline ? (size_t)(newline - (data + at)) : length - at;
        size_t keep = LINE_SIZE - connection->line_length < take ? LINE_SIZE - connection->line_length : take;
        memcpy(connection->line + connection->line_length, data + at, keep);
        connection->line_length += keep;
        at += take;
        if (newline) {
            end_line(connection);
            at++;
        }
    }
}

static const char *take_head(struct connection *connection, const char *data, size_t length, size_t *used) {
    size_t known = connection->head_size;
    size_t take = length < HEAD_SIZE - known ? length : HEAD_SIZE - known;
    memcpy(connection->head + known, data, take);
    size_t end = head_length(connection->head, known + take);
    if (!end) {
        connection->head_size += take;
        *used = take;
        return connection->head_size == HEAD_SIZE ? "head too long" : NULL;
    }
    *used = end - known;
    if (end < 12 || memcmp(connection->head, "HTTP/1.", 7)) return "not HTTP/1";
    connection->status = atoi(connection->head + 9);
    connection->closing = header_is(connection->head, end, "connection", "close") || connection->sent < request_length;
    connection->body = body_of(connection->head, end, 1);
    connection->stage = READING_BODY;
    return NULL;
}

static const char *verdict(const struct connection *connection) {
    if (connection->status != 200) return "not a 200";
    if (connection->body_bytes < options.least_bytes) return "body too short";
    if (options.streamed && !connection->done_seen) return "stream without its end";
    return NULL;
}

static void hung_up(struct connection *connection) {
    if (connection->stage == READING_BODY && connection->body.state == BODY_UNTIL_CLOSE) {
        connection->closing = 1;
        finish(connection, verdict(connection));
    } else {
        finish(connection, "cut short");
    }
}

static void receive(struct connection *connection) {
    static char data[READ_SIZE];
    ssize_t got = recv(connection->fd, data, sizeof data, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (connection->stage == IDLE) { /* the server closed a connection at rest, as it may */
        redial(connection);
        return;
    }
    if (got <= 0) {
        hung_up(connection);
        return;
    }
    size_t length = (size_t)got, used = 0;
    if (connection->stage != READING_BODY) {
        const char *error = take_head(connection, data, length, &used);
        if (error) finish(connection, error);
        if (error || connection->stage != READING_BODY) return;
    }
    used += body_feed(&connection->body, data + used, length - used, take_body, connection);
    if (connection->body.state == BODY_BROKEN) finish(connection, "broken chunks");
    else if (connection->body.state == BODY_WHOLE) finish(connection, used < length ? "bytes after the body" : verdict(connection));
}

/* ---- the run */

static uint64_t due_at(uint64_t call_number) { return started + (uint64_t)((double)call_number * 1e9 / options.rate); }

static int over(uint64_t now) {
    if (options.requests && issued >= options.requests) return 1;
    if (errors >= TOO_MANY_ERRORS && errors == finished && !refused) return 1;
    uint64_t end = started + (uint64_t)(options.seconds * 1e9);
    return options.rate > 0 ? due_at(issued) >= end : now >= end;
}

/* Sends whatever may be sent now; returns how long to wait for the next due call, or no time limit. */
static struct timespec send_due_calls(uint64_t now) {
    struct timespec pause = {.tv_nsec = 100000000};
    while (idle_count && !over(now)) {
        uint64_t due = options.rate > 0 ? due_at(issued) : nanoseconds();
        if (options.rate > 0 && due > now) {
            if (due - now < 100000000) pause.tv_nsec = (long)(due - now);
            return pause;
        }
        call(due);
    }
    return pause;
}

static void run(void) {
    struct epoll_event events[256];
    started = nanoseconds();
    uint64_t give_up = started + (uint64_t)(options.seconds * 1e9) + DRAIN_NS;
    for (uint64_t now = started; !over(now) || finished < issued; now = nanoseconds()) {
        if (now > give_up) {
            unanswered = issued - finished;
            errors += unanswered;
            snprintf(last_error, sizeof last_error, "%llu calls without an answer", (unsigned long long)unanswered);
            return;
        }
        struct timespec pause = send_due_calls(now);
        int ready = epoll_pwait2(epoll, events, 256, &pause, NULL);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) push(connection);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(connection);
        }
    }
}

static int by_size(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* Nearest rank, in milliseconds. */
static double percentile(double share) {
    if (!latency_count) return 0;
    size_t rank = (size_t)(share * (double)latency_count + 0.999999);
    return (double)latencies[rank ? rank - 1 : 0] / 1e6;
}

int main(int count, char **arguments) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_TIMERSLACK, 1);
    read_options(count, arguments);
    make_request();
    epoll = epoll_create1(0);
    connections = calloc((size_t)options.connections, sizeof *connections);
    idle = calloc((size_t)options.connections, sizeof *idle);
    if (!connections || !idle) fail("load: memory");
    for (int i = 0; i < options.connections; i++) {
        connections[i].index = i;
        dial(&connections[i]);
        rest(&connections[i]);
    }
    run();
    if (latency_count) qsort(latencies, latency_count, sizeof *latencies, by_size);
    double seconds = ended > started ? (double)(ended - started) / 1e9 : 0;
    printf("{\"requests\": %llu, \"errors\": %llu, \"refused\": %llu, \"unanswered\": %llu, \"last_error\": \"%s\", \"seconds\": %.6f, \"per_second\": %.2f, \"chunks\": %llu, \"p50_ms\": %.4f, \"p99_ms\": %.4f}\n",
           (unsigned long long)finished, (unsigned long long)errors, (unsigned long long)refused, (unsigned long long)unanswered, last_error, seconds, seconds > 0 ? (double)(finished - errors) / seconds : 0,
           (unsigned long long)chunks, percentile(0.50), percentile(0.99));
    return 0;
}
