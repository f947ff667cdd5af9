/* SPDX-License-Identifier: MIT */
/* Whole files, in a temporary folder. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weir/base/cleanup.h"
#include "weir/base/fdio.h"

struct folder {
    char path[64];
    int fd;
};

static int make_folder(void **state)
{
    static struct folder folder;
    (void)snprintf(folder.path, sizeof(folder.path), "/tmp/test_fdio.XXXXXX");
    if (!mkdtemp(folder.path))
        return -1;
    folder.fd = open(folder.path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    *state = &folder;
    return folder.fd < 0 ? -1 : 0;
}

static int remove_folder(void **state)
{
    static const char *const left[] = {"file", ".file.new", "link", "target"};
    static const char *const folders[] = {"a/b/c", "a/b", "a"};
    struct folder *folder = *state;
    for (size_t i = 0; i < ARRAY_SIZE(left); i++)
        (void)unlinkat(folder->fd, left[i], 0);
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
        (void)unlinkat(folder->fd, folders[i], AT_REMOVEDIR);
    close(folder->fd);
    return rmdir(folder->path);
}

static void put_file(const struct folder *folder, const char *name, const char *text)
{
    assert_int_equal(fd_replace_file_at(folder->fd, name, text, strlen(text), 0600), 0);
}

static void reads_back_what_was_written(void **state)
{
    struct folder *folder = *state;
    char buf[16];
    put_file(folder, "file", "hello\n");
    assert_int_equal(fd_read_text_at(folder->fd, "file", buf, sizeof(buf)), 6);
    assert_string_equal(buf, "hello\n");
    put_file(folder, "file", "");
    assert_int_equal(fd_read_text_at(folder->fd, "file", buf, sizeof(buf)), 0);
    assert_string_equal(buf, "");
    assert_int_equal(fd_read_text_at(folder->fd, "nothing", buf, sizeof(buf)), -ENOENT);
}

static void a_kept_fd_reads_from_the_start(void **state)
{
    struct folder *folder = *state;
    char buf[16];
    put_file(folder, "file", "one");
    _cleanup_close_ int fd = fd_open_at(folder->fd, "file", O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fd_pread_text(fd, buf, sizeof(buf)), 3);
    assert_int_equal(fd_write_text_at(folder->fd, "file", "two and"), 0);
    assert_int_equal(fd_pread_text(fd, buf, sizeof(buf)), 7);
    assert_string_equal(buf, "two and");
}

static void a_file_that_does_not_fit_is_told(void **state)
{
    struct folder *folder = *state;
    char buf[6];
    put_file(folder, "file", "12345");
    assert_int_equal(fd_read_text_at(folder->fd, "file", buf, sizeof(buf)), 5);
    put_file(folder, "file", "123456");
    assert_int_equal(fd_read_text_at(folder->fd, "file", buf, sizeof(buf)), -EMSGSIZE);
    assert_string_equal(buf, "12345");
}

static void replacing_keeps_no_trace(void **state)
{
    struct folder *folder = *state;
    struct stat st;
    char buf[16];
    mode_t old = umask(0);
    /* a crash left a temp file with a wide mode, and somebody a link under its name */
    assert_int_equal(symlinkat("target", folder->fd, ".file.new"), 0);
    assert_int_equal(fd_replace_file_at(folder->fd, "file", "secret", 6, 0600), 0);
    umask(old);
    assert_int_equal(fstatat(folder->fd, "file", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(fstatat(folder->fd, ".file.new", &st, AT_SYMLINK_NOFOLLOW), -1);
    assert_int_equal(fstatat(folder->fd, "target", &st, 0), -1);
    assert_int_equal(fd_read_text_at(folder->fd, "file", buf, sizeof(buf)), 6);
    assert_int_equal(fd_replace_file_at(folder->fd, "a/b", "", 0, 0600), -EINVAL);
}

static void a_full_device_is_an_error(void **state)
{
    (void)state;
    if (access("/dev/full", W_OK) < 0)
        skip();
    assert_int_equal(fd_write_text_at(AT_FDCWD, "/dev/full", "x"), -ENOSPC);
}

static void folders_are_made_once(void **state)
{
    struct folder *folder = *state;
    struct stat st;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/a//b/c/", folder->path);
    assert_int_equal(path_mkdir_parents(path, 0700), 0);
    assert_int_equal(path_mkdir_parents(path, 0700), 0);
    assert_int_equal(fstatat(folder->fd, "a/b/c", &st, 0), 0);
    assert_int_equal(path_mkdir_parents("/", 0700), 0);
    assert_int_equal(path_mkdir_parents("", 0700), -EINVAL);
    put_file(folder, "file", "");
    (void)snprintf(path, sizeof(path), "%s/file", folder->path);
    assert_int_equal(path_mkdir_parents(path, 0700), -ENOTDIR);
    (void)snprintf(path, sizeof(path), "%s/file/below", folder->path);
    assert_int_equal(path_mkdir_parents(path, 0700), -ENOTDIR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_back_what_was_written),      cmocka_unit_test(a_kept_fd_reads_from_the_start),
        cmocka_unit_test(a_file_that_does_not_fit_is_told), cmocka_unit_test(replacing_keeps_no_trace),
        cmocka_unit_test(a_full_device_is_an_error),        cmocka_unit_test(folders_are_made_once),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
