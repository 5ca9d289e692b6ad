/* The null server, in C: the same answers, options and figures as `agent-profiler mock null`.
 *
 *     cc -O2 -o null_server null_server.c
 *     ./null_server --port 0 --chunks 64 --delay-us 0 --ttft-us 0 --gap-us 0
 *
 * One process, one epoll. It prints where it listens as a line of JSON, ends with SIGTERM, SIGINT
 * or the end of standard input, and then prints its figures (also at GET /stats) as another.
 *
 * A connection is served in order: a request that was pipelined waits, unread, for the answer
 * before it. Delays are counted from the arrival of the request's last byte, and fire by one
 * timerfd, in absolute time: late by what the kernel needs, never early.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MOST_ERROR_US 100000
#define READ_SIZE 65536
#define MOST_REQUEST (64u << 20)

typedef struct { char *data; size_t length, capacity; } Buffer;

typedef struct Connection {
    int fd;
    Buffer in, out;
    size_t out_sent;
    int next_chunk;             /* of the stream under way */
    bool busy, streaming, closing, dead, watching_writes;
    int timers;                 /* in the heap: it may be freed only at 0 */
    struct Connection *next_dead;
} Connection;

typedef struct { uint64_t due_ns; uint64_t order; Connection *connection; } Timer;

static Buffer plain, stream_head, stream_end, stream_whole, *chunks;
static int n_chunks = 64;
static uint64_t delay_ns, ttft_ns, gap_ns;
static int epoll_fd, timer_fd;
static Connection *dead_ones;
static Timer *heap;
static size_t heap_length, heap_capacity;
static uint64_t timer_order, requests, streams, connections, first_request_ns;
static uint64_t errors_us[MOST_ERROR_US + 1], error_count, error_max_ns;

static uint64_t now_ns(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000ull + (uint64_t)at.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void add(Buffer *buffer, const void *data, size_t length) {
    if (buffer->length + length > buffer->capacity) {
        size_t capacity = buffer->capacity ? buffer->capacity : 4096;
        while (capacity < buffer->length + length) capacity *= 2;
        buffer->data = realloc(buffer->data, capacity);
        if (!buffer->data) die("realloc");
        buffer->capacity = capacity;
    }
    memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
}

static void add_text(Buffer *buffer, const char *text) { add(buffer, text, strlen(text)); }

/* What is answered, made once. */

static void make_answers(void) {
    char line[1024];
    Buffer body = {0};
    add_text(&body, "{\"id\":\"null\",\"object\":\"chat.completion\",\"created\":0,"
                    "\"model\":\"null\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
                    "\"assistant\",\"content\":\"Your order is on its way.\"},"
                    "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":10,"
                    "\"completion_tokens\":6,\"total_tokens\":16}}");
    snprintf(line, sizeof line,
             "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n",
             body.length);
    add_text(&plain, line);
    add(&plain, body.data, body.length);
    free(body.data);
    add_text(&stream_head, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                           "transfer-encoding: chunked\r\n\r\n");
    chunks = calloc((size_t)n_chunks, sizeof *chunks);
    if (!chunks) die("calloc");
    for (int i = 0; i < n_chunks; i++) {
        char usage[128] = "";
        bool last = i == n_chunks - 1;
        if (last)
            snprintf(usage, sizeof usage, ",\"usage\":{\"prompt_tokens\":10,"
                     "\"completion_tokens\":%d,\"total_tokens\":%d}", n_chunks, n_chunks + 10);
        int size = snprintf(line, sizeof line,
            "data: {\"id\":\"null\",\"object\":\"chat.completion.chunk\",\"created\":0,"
            "\"model\":\"null\",\"choices\":[{\"index\":0,\"delta\":{%s\"content\":\"token \"},"
            "\"finish_reason\":%s}]%s}\n\n",
            i == 0 ? "\"role\":\"assistant\"," : "", last ? "\"stop\"" : "null", usage);
        char frame[32];
        snprintf(frame, sizeof frame, "%x\r\n", (unsigned)size);
        add_text(&chunks[i], frame);
        add(&chunks[i], line, (size_t)size);
        add_text(&chunks[i], "\r\n");
    }
    add_text(&stream_end, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
    add(&stream_whole, stream_head.data, stream_head.length);
    for (int i = 0; i < n_chunks; i++) add(&stream_whole, chunks[i].data, chunks[i].length);
    add(&stream_whole, stream_end.data, stream_end.length);
}

/* Figures. */

static void note_error(uint64_t due_ns) {
    uint64_t at_ns = now_ns(), late_ns = at_ns > due_ns ? at_ns - due_ns : 0;
    uint64_t late_us = late_ns / 1000;
    errors_us[late_us < MOST_ERROR_US ? late_us : MOST_ERROR_US]++;
    error_count++;
    if (late_ns > error_max_ns) error_max_ns = late_ns;
}

static uint64_t error_percentile(unsigned percent) {
    uint64_t wanted = (error_count * percent + 99) / 100, seen = 0;
    for (uint64_t us = 0; us <= MOST_ERROR_US; us++)
        if ((seen += errors_us[us]) >= wanted && seen) return us;
    return MOST_ERROR_US;
}

static int stats(char *into, size_t size) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu_s = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                   (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    char first[32] = "null", each[32] = "null", errors[160] = "null";
    if (requests) {
        snprintf(first, sizeof first, "%llu", (unsigned long long)first_request_ns);
        snprintf(each, sizeof each, "%.2f", cpu_s * 1e6 / (double)requests);
    }
    if (error_count)
        snprintf(errors, sizeof errors, "{\"count\":%llu,\"p50\":%llu,\"p99\":%llu,\"max\":%llu}",
                 (unsigned long long)error_count, (unsigned long long)error_percentile(50),
                 (unsigned long long)error_percentile(99),
                 (unsigned long long)(error_max_ns / 1000));
    return snprintf(into, size,
        "{\"server\":\"c\",\"requests\":%llu,\"streams\":%llu,\"connections\":%llu,"
        "\"cpu_s\":%.6f,\"cpu_us_per_request\":%s,\"first_request_ns\":%s,"
        "\"delay_error_us\":%s}",
        (unsigned long long)requests, (unsigned long long)streams,
        (unsigned long long)connections, cpu_s, each, first, errors);
}

/* Timers: a heap of instants, and one timerfd set to the first of them. */

static bool is_before(Timer a, Timer b) {
    return a.due_ns != b.due_ns ? a.due_ns < b.due_ns : a.order < b.order;
}

static void arm(void) {
    struct itimerspec when = {0};
    if (heap_length) {
        when.it_value.tv_sec = (time_t)(heap[0].due_ns / 1000000000ull);
        when.it_value.tv_nsec = (long)(heap[0].due_ns % 1000000000ull);
    }
    if (timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL) < 0) die("timerfd_settime");
}

static void call_at(uint64_t due_ns, Connection *connection) {
    if (heap_length == heap_capacity) {
        heap_capacity = heap_capacity ? heap_capacity * 2 : 1024;
        heap = realloc(heap, heap_capacity * sizeof *heap);
        if (!heap) die("realloc");
    }
    Timer timer = {due_ns, timer_order++, connection};
    size_t at = heap_length++;
    for (; at && is_before(timer, heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = timer;
    connection->timers++;
    if (at == 0) arm();
}

static Timer pop_timer(void) {
    Timer first = heap[0], last = heap[--heap_length];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < heap_length) {
        if (child + 1 < heap_length && is_before(heap[child + 1], heap[child])) child++;
        if (!is_before(heap[child], last)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return first;
}

/* Connections. */

static void end_connection(Connection *connection) {
    if (connection->dead) return;
    close(connection->fd);
    connection->dead = true;
    connection->next_dead = dead_ones;
    dead_ones = connection;
}

/* Between two batches of events, when no event and no timer can name them any more. */
static void free_dead_ones(void) {
    for (Connection **at = &dead_ones; *at;) {
        Connection *connection = *at;
        if (connection->timers) {
            at = &connection->next_dead;
            continue;
        }
        *at = connection->next_dead;
        free(connection->in.data);
        free(connection->out.data);
        free(connection);
    }
}

static void watch(Connection *connection, bool writes) {
    if (connection->watching_writes == writes) return;
    struct epoll_event event = {.events = EPOLLIN | (writes ? EPOLLOUT : 0),
                                .data.ptr = connection};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
    connection->watching_writes = writes;
}

static void flush(Connection *connection) {
    Buffer *out = &connection->out;
    while (connection->out_sent < out->length) {
        ssize_t sent = send(connection->fd, out->data + connection->out_sent,
                            out->length - connection->out_sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            watch(connection, true);
            return;
        }
        if (sent < 0) {
            end_connection(connection);
            return;
        }
        connection->out_sent += (size_t)sent;
    }
    out->length = connection->out_sent = 0;
    watch(connection, false);
    if (connection->closing && !connection->busy) end_connection(connection);
}

static void stream_next(Connection *connection, uint64_t due_ns) {
    if (connection->next_chunk == 0)
        add(&connection->out, stream_head.data, stream_head.length);
    Buffer chunk = chunks[connection->next_chunk++];
    add(&connection->out, chunk.data, chunk.length);
    if (connection->next_chunk < n_chunks) {
        call_at(due_ns + gap_ns, connection);
        return;
    }
    add(&connection->out, stream_end.data, stream_end.length);
    connection->busy = false;
}

static void answer(Connection *connection, bool is_stream, uint64_t received_ns) {
    uint64_t wait_ns = is_stream ? ttft_ns : delay_ns;
    connection->streaming = is_stream;
    connection->next_chunk = 0;
    if (wait_ns) {
        connection->busy = true;
        call_at(received_ns + wait_ns, connection);
    } else if (!is_stream) {
        add(&connection->out, plain.data, plain.length);
    } else if (gap_ns) {
        connection->busy = true;
        stream_next(connection, received_ns);
    } else {
        add(&connection->out, stream_whole.data, stream_whole.length);
    }
}

static const char *find_header(const char *head, const char *end, const char *name) {
    size_t length = strlen(name);
    for (const char *line = head; (line = memchr(line, '\n', (size_t)(end - line)));) {
        line++;
        if ((size_t)(end - line) > length && !strncasecmp(line, name, length)) return line + length;
    }
    return NULL;
}

static void refuse(Connection *connection, const char *status) {
    char line[128];
    snprintf(line, sizeof line, "HTTP/1.1 %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
             status);
    add_text(&connection->out, line);
    connection->in.length = 0;
    connection->closing = true;
}

/* Take one request from what was read. False: it is not complete. */
static bool take_request(Connection *connection, size_t *used, uint64_t received_ns) {
    const char *data = connection->in.data + *used;
    size_t left = connection->in.length - *used;
    const char *end = memmem(data, left, "\r\n\r\n", 4);
    if (!end) {
        if (left > READ_SIZE) refuse(connection, "431 Request Header Fields Too Large");
        return false;
    }
    const char *length = find_header(data, end + 2, "content-length:");
    if (find_header(data, end + 2, "transfer-encoding:")) {
        refuse(connection, "411 Length Required");
        return false;
    }
    unsigned long body_length = length ? strtoul(length, NULL, 10) : 0;
    if (body_length > MOST_REQUEST) {
        refuse(connection, "413 Content Too Large");
        return false;
    }
    size_t whole = (size_t)(end + 4 - data) + body_length;
    if (left < whole) return false;
    *used += whole;
    const char *closing = find_header(data, end + 2, "connection:");
    if (closing) {
        while (*closing == ' ') closing++;
        connection->closing = !strncasecmp(closing, "close", 5);
    }
    if (left >= 10 && !memcmp(data, "GET /stats", 10)) {
        char body[1024], head[128];
        int size = stats(body, sizeof body);
        snprintf(head, sizeof head,
                 "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n",
                 size);
        add_text(&connection->out, head);
        add(&connection->out, body, (size_t)size);
        return true;
    }
    if (!requests++) first_request_ns = received_ns;
    bool is_stream = memmem(end, body_length + 4, "\"stream\":true", 13) ||
                     memmem(end, body_length + 4, "\"stream\": true", 14);
    streams += is_stream;
    answer(connection, is_stream, received_ns);
    return true;
}

static void serve(Connection *connection, uint64_t received_ns) {
    size_t used = 0;
    while (!connection->busy && !connection->closing && connection->in.length > used)
        if (!take_request(connection, &used, received_ns)) break;
    if (connection->in.length >= used) {
        connection->in.length -= used;
        if (used && connection->in.length)
            memmove(connection->in.data, connection->in.data + used, connection->in.length);
    }
    if (connection->out.length) flush(connection);
}

static void on_readable(Connection *connection) {
    char buffer[READ_SIZE];
    ssize_t got = recv(connection->fd, buffer, sizeof buffer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        end_connection(connection);
        return;
    }
    uint64_t received_ns = now_ns();
    add(&connection->in, buffer, (size_t)got);
    serve(connection, received_ns);
}

static void on_timer(void) {
    uint64_t expired;
    if (read(timer_fd, &expired, sizeof expired) < 0 && errno != EAGAIN) die("timerfd");
    while (heap_length && heap[0].due_ns <= now_ns()) {
        Timer timer = pop_timer();
        Connection *connection = timer.connection;
        connection->timers--;
        if (!connection->dead) {
            if (!connection->streaming) {
                add(&connection->out, plain.data, plain.length);
                connection->busy = false;
            } else if (gap_ns) {
                stream_next(connection, timer.due_ns);
            } else {
                add(&connection->out, stream_whole.data, stream_whole.length);
                connection->busy = false;
            }
            flush(connection);
            note_error(timer.due_ns);
            if (!connection->dead && !connection->busy && connection->in.length)
                serve(connection, now_ns());
        }
    }
    arm();
}

static void on_connection(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        Connection *connection = calloc(1, sizeof *connection);
        if (!connection) die("calloc");
        connection->fd = fd;
        connections++;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
    }
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0) die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
    if (listen(fd, 4096) < 0) die("listen");
    socklen_t size = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &size);
    printf("{\"url\":\"http://127.0.0.1:%d/v1/chat/completions\","
           "\"stats\":\"http://127.0.0.1:%d/stats\"}\n",
           ntohs(address.sin_port), ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static int signal_descriptor(void) {
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigprocmask(SIG_BLOCK, &ending, NULL);
    return signalfd(-1, &ending, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void watch_descriptor(int fd, void *mark) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = mark};
    /* EPERM: a plain file or /dev/null as standard input, which never closes */
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 && errno != EPERM && fd) die("epoll_ctl");
}

static long option(int count, char **words, const char *name, long otherwise) {
    for (int i = 1; i + 1 < count; i += 2)
        if (!strcmp(words[i], name)) return atol(words[i + 1]);
    return otherwise;
}

int main(int count, char **words) {
    n_chunks = (int)option(count, words, "--chunks", 64);
    delay_ns = (uint64_t)option(count, words, "--delay-us", 0) * 1000;
    ttft_ns = (uint64_t)option(count, words, "--ttft-us", (long)(delay_ns / 1000)) * 1000;
    gap_ns = (uint64_t)option(count, words, "--gap-us", 0) * 1000;
    if (n_chunks < 1) n_chunks = 1;
    make_answers();
    static int listening_mark, timer_mark, signal_mark, stdin_mark;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (epoll_fd < 0 || timer_fd < 0) die("epoll or timerfd");
    watch_descriptor(signal_descriptor(), &signal_mark);
    watch_descriptor(timer_fd, &timer_mark);
    watch_descriptor(0, &stdin_mark);
    int listener = listen_on((int)option(count, words, "--port", 0));
    watch_descriptor(listener, &listening_mark);
    for (bool ended = false; !ended;) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll_fd, events, 256, -1);
        /* Timers after sockets would wait for them: first those that are due. */
        for (int i = 0; i < ready; i++)
            if (events[i].data.ptr == &timer_mark) on_timer();
        for (int i = 0; i < ready; i++) {
            void *mark = events[i].data.ptr;
            char ignored[4096];
            if (mark == &timer_mark) continue;
            if (mark == &listening_mark) on_connection(listener);
            else if (mark == &signal_mark) ended = true;
            else if (mark == &stdin_mark) ended |= read(0, ignored, sizeof ignored) <= 0;
            else {
                Connection *connection = mark;
                if (!connection->dead && events[i].events & EPOLLOUT) flush(connection);
                if (!connection->dead && events[i].events & ~(uint32_t)EPOLLOUT)
                    on_readable(connection);
            }
        }
        free_dead_ones();
    }
    char line[1024];
    stats(line, sizeof line);
    puts(line);
    return 0;
}
