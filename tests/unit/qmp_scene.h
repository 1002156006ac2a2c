/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A QMP server on a thread of its own, which runs a script: a function that
 * is given the connection. And the client whose server it is.
 */
#ifndef QMP_SCENE_H
#define QMP_SCENE_H

#include <pthread.h>

#include "lss_test.h"
#include "qmp/qmp.h"

#define GREETING "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, " \
    "\"minor\": 2, \"major\": 7}, \"package\": \"Debian\"}, " \
    "\"capabilities\": [\"oob\"]}}\r\n"
#define EVENT "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, " \
    "\"event\": \"JOB_STATUS_CHANGE\", \"data\": {\"id\": \"j\"}}\r\n"

extern struct server {
    int listen_fd;
    int num;                    /* connections to take, one by one */
    void (*script)(int fd, int nth);
    pthread_t thread;
    bool started;
} server;

extern struct libxlss__op op;
extern struct libxlss__qmp qmp;

int qmp_set_up(void **state);
int qmp_tear_down(void **state);

#define QMP_TEST(f) cmocka_unit_test_setup_teardown(f, qmp_set_up, \
                                                    qmp_tear_down)

/* Of the server. */
void put(int fd, const char *text, size_t len);
void say(int fd, const char *text);
void say_split(int fd, const char *text, size_t at);
/* Until the other end has read all that was sent. */
void drain(int fd);
/* Reads one command; its id, or 0 if the client has gone. */
uint64_t take(int fd);
/* Answers with a member "return" or "error". */
void answer(int fd, uint64_t id, const char *member);
void greet(int fd);
void wait_hangup(int fd);

/* Of the client: the server begins, for one connection or more. */
void listen_at(const char *path, int backlog);
void serve_one(void (*script)(int fd, int nth));
void serve_many(void (*script)(int fd, int nth), int num);
/* With the session open. */
void serve_open(void (*script)(int fd, int nth));
/* Runs a command whose reply must be {"n": N}. */
void expect_n(uint64_t want);

#endif
