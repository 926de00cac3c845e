/* A tiny OpenAI on loopback, so that a benchmark measures the gateway and not the model.
 *
 *     mock_provider PORT
 *
 * One thread, epoll, keep-alive. The model's name decides the answer:
 *     mock-512, mock-8k, mock-100k    a completion whose body has about that size
 *     mock-stream                     with "stream": true, 60 chunks, two to a write, no pause
 *     mock-stream-20ms                with "stream": true, 60 chunks, 20 ms apart
 * Every answer is made once, at start, and only written afterwards. */
#define _GNU_SOURCE
#include "http1.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* CHUNKS_AT_ONCE: an unpaced stream has two chunks to a write, so that a relay reads often but not once for each chunk. */
enum { CHUNKS = 60, CHUNKS_AT_ONCE = 2, PACE_NS = 20000000, READ_SIZE = 256 * 1024 };

struct bytes {
    char *data;
    size_t length, room;
};

struct stream {
    struct bytes all;
    size_t ends[CHUNKS]; /* ends[i]: where chunk i's bytes end in `all`; chunk 0 brings the head along */
};

struct connection {
    int fd;
    enum { READING_HEAD, READING_BODY, ANSWERING } stage;
    int close_after, wants_write;
    struct bytes head, request;
    struct body body;
    const char *out;
    size_t out_left;
    const struct stream *stream; /* the stream being sent, or NULL */
    int chunk, queued;
    uint64_t pace, due; /* nanoseconds; a pace of 0 sends the next chunks at once */
    struct connection *previous, *next; /* in the queue of paced streams, by due time */
};

static int epoll;
static struct bytes completion_512, completion_8k, completion_100k, not_found;
static struct stream plain_stream, usage_stream;
static struct connection *queue_head, *queue_tail;

static void append(struct bytes *bytes, const char *data, size_t length) {
    if (bytes->length + length > bytes->room) {
        bytes->room = (bytes->length + length) * 2;
        bytes->data = realloc(bytes->data, bytes->room);
        if (!bytes->data) exit(1);
    }
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}

static void append_text(struct bytes *bytes, const char *text) { append(bytes, text, strlen(text)); }

/* ---- answers, made once */

static struct bytes answer(const char *status, const struct bytes *body) {
    struct bytes all = {0};
    char head[256];
    snprintf(head, sizeof head, "HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n", status, body->length);
    append_text(&all, head);
    append(&all, body->data, body->length);
    return all;
}

static struct bytes completion(const char *model, size_t size) {
    static const char words[] = "the quick brown fox jumps over the lazy dog and then says so again ";
    struct bytes body = {0};
    char text[512];
    snprintf(text, sizeof text, "{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"%s\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"", model);
    append_text(&body, text);
    size_t tail = 130, content = 0;
    for (; body.length + tail < size; content++) append(&body, words + content % (sizeof words - 1), 1);
    size_t tokens = content / 4 + 1;
    snprintf(text, sizeof text, "\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,\"total_tokens\":%zu}}", tokens, tokens, 2 * tokens);
    append_text(&body, text);
    return answer("200 OK", &body);
}

static void append_event(struct bytes *all, const char *event) {
    char size[32];
    snprintf(size, sizeof size, "%zx\r\n", strlen(event));
    append_text(all, size);
    append_text(all, event);
    append_text(all, "\r\n");
}

static void append_chunk(struct bytes *all, const char *delta, const char *finish_reason) {
    char event[512];
    snprintf(event, sizeof event, "data: {\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"mock-stream\",\"choices\":[{\"index\":0,\"delta\":%s,\"finish_reason\":%s}]}\n\n", delta, finish_reason);
    append_event(all, event);
}

static struct stream stream_answer(int with_usage) {
    struct stream stream = {0};
    append_text(&stream.all, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n");
    for (int i = 0; i < CHUNKS; i++) {
        char delta[64];
        snprintf(delta, sizeof delta, "{\"content\":\" word%d\"}", i);
        if (i == 0) append_chunk(&stream.all, "{\"role\":\"assistant\",\"content\":\"\"}", "null");
        else if (i < CHUNKS - 1) append_chunk(&stream.all, delta, "null");
        else append_chunk(&stream.all, "{}", "\"stop\"");
        stream.ends[i] = stream.all.length;
    }
    if (with_usage)
        append_event(&stream.all, "data: {\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"mock-stream\",\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":58,\"total_tokens\":158}}\n\n");
    append_event(&stream.all, "data: [DONE]\n\n");
    append_text(&stream.all, "0\r\n\r\n");
    stream.ends[CHUNKS - 1] = stream.all.length;
    return stream;
}

static void make_answers(void) {
    struct bytes error = {0};
    append_text(&error, "{\"error\":{\"message\":\"mock_provider answers POST /v1/chat/completions for the models mock-512, mock-8k, mock-100k, mock-stream and mock-stream-20ms\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"model_not_found\"}}");
    not_found = answer("404 Not Found", &error);
    completion_512 = completion("mock-512", 512);
    completion_8k = completion("mock-8k", 8 * 1024);
    completion_100k = completion("mock-100k", 100 * 1024);
    plain_stream = stream_answer(0);
    usage_stream = stream_answer(1);
}

/* ---- the queue of paced streams */

static void enqueue(struct connection *connection) {
    connection->due = nanoseconds() + connection->pace;
    connection->previous = queue_tail;
    connection->next = NULL;
    if (queue_tail) queue_tail->next = connection;
    else queue_head = connection;
    queue_tail = connection;
    connection->queued = 1;
}

static void dequeue(struct connection *connection) {
    if (connection->previous) connection->previous->next = connection->next;
    else queue_head = connection->next;
    if (connection->next) connection->next->previous = connection->previous;
    else queue_tail = connection->previous;
    connection->queued = 0;
}

/* ---- connections */

static void hang_up(struct connection *connection) {
    if (connection->queued) dequeue(connection);
    close(connection->fd);
    free(connection->head.data);
    free(connection->request.data);
    free(connection);
}

static void watch(struct connection *connection, int for_write) {
    if (connection->wants_write == for_write) return;
    struct epoll_event event = {.events = EPOLLIN | (for_write ? EPOLLOUT : 0), .data.ptr = connection};
    epoll_ctl(epoll, EPOLL_CTL_MOD, connection->fd, &event);
    connection->wants_write = for_write;
}

static void load_chunk(struct connection *connection) {
    const struct stream *stream = connection->stream;
    size_t start = connection->chunk ? stream->ends[connection->chunk - 1] : 0;
    connection->out = stream->all.data + start;
    connection->chunk += connection->pace ? 1 : CHUNKS_AT_ONCE;
    connection->out_left = stream->ends[connection->chunk - 1] - start;
    if (connection->chunk == CHUNKS) connection->stream = NULL;
    else if (connection->pace) enqueue(connection);
}

/* Writes what is left of the answer; 0 when the peer is gone and the connection with it. */
static int flush(struct connection *connection) {
    for (;;) {
        if (!connection->out_left && connection->stream && !connection->pace) load_chunk(connection);
        if (!connection->out_left) break;
        ssize_t sent = send(connection->fd, connection->out, connection->out_left, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            watch(connection, 1);
            return 1;
        }
        if (sent <= 0) {
            hang_up(connection);
            return 0;
        }
        connection->out += sent;
        connection->out_left -= (size_t)sent;
    }
    watch(connection, 0);
    if (connection->stream) return 1;
    if (connection->close_after) {
        hang_up(connection);
        return 0;
    }
    connection->stage = READING_HEAD;
    return 1;
}

static void send_due_chunks(void) {
    uint64_t now = nanoseconds();
    while (queue_head && queue_head->due <= now) {
        struct connection *connection = queue_head;
        dequeue(connection);
        if (connection->out_left) { /* a slow reader: it gets its next chunk a turn later */
            enqueue(connection);
            continue;
        }
        load_chunk(connection);
        flush(connection);
    }
}

/* ---- requests */

static const char *json_value(const struct bytes *body, const char *key, size_t *left) {
    const char *at = body->length ? memmem(body->data, body->length, key, strlen(key)) : NULL;
    if (!at) return NULL;
    const char *end = body->data + body->length;
    for (at += strlen(key); at < end && strchr(" \t\r\n:", *at); at++) {}
    *left = (size_t)(end - at);
    return at;
}

static int json_true(const struct bytes *body, const char *key) {
    size_t left;
    const char *value = json_value(body, key, &left);
    return value && left >= 4 && !memcmp(value, "true", 4);
}

static int names_model(const struct bytes *body, const char *model) {
    size_t left;
    const char *value = json_value(body, "\"model\"", &left);
    size_t length = strlen(model);
    return value && left > length + 1 && value[0] == '"' && !memcmp(value + 1, model, length) && value[length + 1] == '"';
}

static int is_chat_completion(const struct connection *connection) {
    static const char route[] = "POST /v1/chat/completions";
    return connection->head.length > sizeof route && !memcmp(connection->head.data, route, sizeof route - 1);
}

static const struct bytes *choose_completion(const struct bytes *request) {
    if (names_model(request, "mock-512")) return &completion_512;
    if (names_model(request, "mock-8k")) return &completion_8k;
    if (names_model(request, "mock-100k")) return &completion_100k;
    return &not_found;
}

static int respond(struct connection *connection) {
    const struct bytes *request = &connection->request;
    int paced = names_model(request, "mock-stream-20ms");
    connection->stage = ANSWERING;
    if (is_chat_completion(connection) && json_true(request, "\"stream\"") && (paced || names_model(request, "mock-stream"))) {
        connection->stream = json_true(request, "\"include_usage\"") ? &usage_stream : &plain_stream;
        connection->chunk = 0;
        connection->pace = paced ? PACE_NS : 0;
        load_chunk(connection);
    } else {
        const struct bytes *reply = is_chat_completion(connection) ? choose_completion(request) : &not_found;
        connection->out = reply->data;
        connection->out_left = reply->length;
    }
    return flush(connection);
}

static void keep_request(void *owner, const char *data, size_t length) { append(&((struct connection *)owner)->request, data, length); }

/* Moves a head that is whole out of the bytes read, and says whether there was one. */
static int begin_request(struct connection *connection, const char *data, size_t length, size_t *used) {
    size_t known = connection->head.length;
    append(&connection->head, data, length);
    size_t end = head_length(connection->head.data, connection->head.length);
    *used = end ? end - known : length;
    if (!end) return 1;
    connection->head.length = end;
    connection->body = body_of(connection->head.data, end, 0);
    connection->close_after = header_is(connection->head.data, end, "connection", "close");
    connection->request.length = 0;
    connection->stage = READING_BODY;
    if (!header_is(connection->head.data, end, "expect", "100-continue")) return 1;
    static const char proceed[] = "HTTP/1.1 100 Continue\r\n\r\n";
    return send(connection->fd, proceed, sizeof proceed - 1, MSG_NOSIGNAL) == sizeof proceed - 1;
}

static void receive(struct connection *connection) {
    static char data[READ_SIZE];
    ssize_t got = recv(connection->fd, data, sizeof data, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        hang_up(connection);
        return;
    }
    size_t length = (size_t)got, at = 0;
    while (at < length) {
        size_t used = 0;
        if (connection->stage == READING_HEAD && !begin_request(connection, data + at, length - at, &used)) {
            hang_up(connection);
            return;
        }
        at += used;
        if (connection->stage == READING_HEAD) return;
        if (connection->stage == ANSWERING) { /* no client pipelines here; one that does is told so by the hang-up */
            hang_up(connection);
            return;
        }
        at += body_feed(&connection->body, data + at, length - at, keep_request, connection);
        if (connection->body.state == BODY_BROKEN) {
            hang_up(connection);
            return;
        }
        if (connection->body.state != BODY_WHOLE) return;
        int alive = respond(connection);
        if (!alive) return;
        connection->head.length = 0;
    }
}

/* ---- the loop */

static int listen_on(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) {
        perror("mock_provider: listen");
        exit(1);
    }
    return listener;
}

static void accept_all(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct connection *connection = calloc(1, sizeof *connection);
        if (!connection) exit(1);
        connection->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static int milliseconds_to_next_chunk(void) {
    if (!queue_head) return -1;
    uint64_t now = nanoseconds();
    return queue_head->due <= now ? 0 : (int)((queue_head->due - now) / 1000000 + 1);
}

int main(int count, char **arguments) {
    int port = count == 2 ? atoi(arguments[1]) : 0;
    if (port <= 0) {
        fprintf(stderr, "usage: mock_provider PORT\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* never outlives the benchmark that started it */
    make_answers();
    int listener = listen_on(port);
    epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(epoll, events, 256, milliseconds_to_next_chunk());
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!connection) accept_all(listener);
            else if (!(events[i].events & EPOLLOUT) || flush(connection))
                if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(connection);
        }
        send_due_chunks();
    }
}
