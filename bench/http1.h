/* The little of HTTP/1.1 that the mock provider and the load generator share: finding a head, reading
 * a header in any case, and walking a body framed by Content-Length, by chunks or by the connection's end. */
#ifndef BENCH_HTTP1_H
#define BENCH_HTTP1_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static inline uint64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* Length of the head with its empty line, or 0 while it is not all there. */
static inline size_t head_length(const char *data, size_t length) {
    const char *end = memmem(data, length, "\r\n\r\n", 4);
    return end ? (size_t)(end - data) + 4 : 0;
}

/* The value of a header, trimmed, its length in *size; NULL when the head does not have it. */
static inline const char *header(const char *head, size_t length, const char *name, size_t *size) {
    size_t name_length = strlen(name);
    const char *line = memchr(head, '\n', length);
    while (line && ++line < head + length) {
        const char *end = memchr(line, '\r', (size_t)(head + length - line));
        if (!end || end == line) return NULL;
        if ((size_t)(end - line) > name_length && line[name_length] == ':' && !strncasecmp(line, name, name_length)) {
            const char *value = line + name_length + 1;
            while (value < end && (*value == ' ' || *value == '\t')) value++;
            *size = (size_t)(end - value);
            return value;
        }
        line = memchr(end, '\n', (size_t)(head + length - end));
    }
    return NULL;
}

static inline int header_is(const char *head, size_t length, const char *name, const char *wanted) {
    size_t size;
    const char *value = header(head, length, name, &size);
    return value && size == strlen(wanted) && !strncasecmp(value, wanted, size);
}

enum body_state { BODY_COUNTED, BODY_UNTIL_CLOSE, CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_END, TRAILER, BODY_WHOLE, BODY_BROKEN };

struct body {
    enum body_state state;
    uint64_t left;   /* bytes left of a counted body, or of the current chunk */
    int line_length; /* of the trailer line being read */
};

typedef void body_sink(void *owner, const char *data, size_t length);

/* `open_ended`: without a length, does the body run to the end of the connection (a response) or is there none (a request)? */
static inline struct body body_of(const char *head, size_t length, int open_ended) {
    size_t size;
    const char *value;
    if (header_is(head, length, "transfer-encoding", "chunked")) return (struct body){.state = CHUNK_SIZE};
    if ((value = header(head, length, "content-length", &size))) {
        uint64_t left = strtoull(value, NULL, 10);
        return (struct body){.state = left ? BODY_COUNTED : BODY_WHOLE, .left = left};
    }
    return (struct body){.state = open_ended ? BODY_UNTIL_CLOSE : BODY_WHOLE};
}

static inline int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static inline void body_framing_byte(struct body *body, char c) {
    switch (body->state) {
    case CHUNK_SIZE:
        if (hex_digit(c) >= 0) body->left = body->left * 16 + (uint64_t)hex_digit(c);
        else if (c == '\n') body->state = body->left ? CHUNK_DATA : TRAILER;
        else if (c != '\r') body->state = c == ';' || c == ' ' ? CHUNK_EXTENSION : BODY_BROKEN;
        break;
    case CHUNK_EXTENSION:
        if (c == '\n') body->state = body->left ? CHUNK_DATA : TRAILER;
        break;
    case CHUNK_END:
        if (c == '\n') body->state = CHUNK_SIZE;
        else if (c != '\r') body->state = BODY_BROKEN;
        break;
    case TRAILER:
        if (c == '\n' && body->line_length == 0) body->state = BODY_WHOLE;
        else if (c == '\n') body->line_length = 0;
        else if (c != '\r') body->line_length++;
        break;
    default: break;
    }
}

/* Walks over `data`, hands the payload to `sink`, and returns how many bytes belonged to this body. */
static inline size_t body_feed(struct body *body, const char *data, size_t length, body_sink *sink, void *owner) {
    size_t at = 0;
    while (at < length && body->state != BODY_WHOLE && body->state != BODY_BROKEN) {
        if (body->state != BODY_COUNTED && body->state != BODY_UNTIL_CLOSE && body->state != CHUNK_DATA) {
            body_framing_byte(body, data[at++]);
            continue;
        }
        size_t take = length - at;
        if (body->state != BODY_UNTIL_CLOSE && take > body->left) take = body->left;
        sink(owner, data + at, take);
        at += take;
        if (body->state == BODY_UNTIL_CLOSE) continue;
        body->left -= take;
        if (body->left == 0) body->state = body->state == CHUNK_DATA ? CHUNK_END : BODY_WHOLE;
    }
    return at;
}

#endif
