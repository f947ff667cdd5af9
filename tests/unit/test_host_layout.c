/* SPDX-License-Identifier: MIT */
/* Where we are, from the kernel's own texts: this machine's, a systemd host's, containers'. */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "layout.h"
#include "weir/base/cleanup.h"

static struct layout l;

static int parse(const char *mountinfo, const char *cgroup)
{
    memset(&l, 0xff, sizeof(l));
    return layout_parse(mountinfo, cgroup, &l);
}

static void hybrid(void **state)
{
    (void)state;
    assert_int_equal(
        parse("31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
              "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
              "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
              "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n"
              "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"
              "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
              "9:name=systemd:/\n8:pids:/\n4:memory:/api/fe15\n1:cpu,cpuacct:/b\n0::/\n"),
        0);
    assert_int_equal(layout_kind(&l), HOST_LAYOUT_HYBRID);
    assert_string_equal(l.unified.point, "/sys/fs/cgroup/unified");
    assert_string_equal(l.unified.own, "/");
    assert_string_equal(l.v1[0].point, "/sys/fs/cgroup/memory");
    assert_string_equal(l.v1[0].own, "/api/fe15");
    assert_string_equal(l.v1[1].own, "/");
    assert_string_equal(l.v1[2].point, "/sys/fs/cgroup/cpu,cpuacct");
    assert_string_equal(l.v1[2].own, "/b");
    assert_string_equal(l.v1[3].point, ""); /* no blkio */
}

static void unified_service(void **state)
{
    (void)state;
    assert_int_equal(parse("29 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
                           "0::/system.slice/weir.service\n"),
                     0);
    assert_int_equal(layout_kind(&l), HOST_LAYOUT_UNIFIED);
    assert_string_equal(l.unified.own, "/system.slice/weir.service");
}

static void container_with_a_cgroup_namespace(void **state)
{
    (void)state;
    assert_int_equal(parse("700 690 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n", "0::/\n"), 0);
    assert_string_equal(l.unified.root, "/");
    assert_string_equal(l.unified.own, "/");
}

static void container_without_one_sees_only_its_part(void **state)
{
    (void)state;
    assert_int_equal(parse("700 690 0:26 /docker/c0ffee /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
                           "0::/docker/c0ffee/inner\n"),
                     0);
    assert_string_equal(l.unified.root, "/docker/c0ffee");
    assert_string_equal(l.unified.own, "/inner");
    /* a name that only begins alike is somebody else's */
    assert_int_equal(
        parse("700 690 0:26 /docker/c0ffee /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/docker/c0ffee2\n"),
        0);
    assert_string_equal(l.unified.own, "");
}

static void our_cgroup_outside_of_the_namespace(void **state)
{
    (void)state;
    assert_int_equal(parse("700 690 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/../other\n"), 0);
    assert_string_equal(l.unified.point, "/sys/fs/cgroup");
    assert_string_equal(l.unified.own, "");
}

static void of_several_mounts_the_one_that_shows_us(void **state)
{
    (void)state;
    assert_int_equal(parse("50 1 0:26 /docker/a /mnt/a rw - cgroup2 cgroup rw\n"
                           "51 1 0:26 /docker/b /mnt/b rw - cgroup2 cgroup rw\n"
                           "52 1 0:26 / /mnt/all rw - cgroup2 cgroup rw\n",
                           "0::/docker/b/x\n"),
                     0);
    assert_string_equal(l.unified.point, "/mnt/b");
    assert_string_equal(l.unified.own, "/x");
}

static void pure_v1_is_no_layout(void **state)
{
    (void)state;
    assert_int_equal(
        parse("35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n", "4:memory:/\n"), 0);
    assert_int_equal(layout_kind(&l), HOST_LAYOUT_NONE);
    assert_string_equal(l.v1[0].point, "/sys/fs/cgroup/memory"); /* so that the refusal can say why */
    assert_int_equal(parse("", ""), 0);
    assert_int_equal(layout_kind(&l), HOST_LAYOUT_NONE);
}

static void blkio_alone_makes_no_hybrid(void **state)
{
    (void)state;
    assert_int_equal(parse("30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
                           "31 1 0:27 / /mnt/blkio rw - cgroup cgroup rw,blkio\n",
                           "2:blkio:/\n0::/\n"),
                     0);
    assert_int_equal(layout_kind(&l), HOST_LAYOUT_UNIFIED);
}

static void blanks_in_mount_points(void **state)
{
    (void)state;
    assert_int_equal(parse("30 1 0:26 / /mnt/my\\040cgroups\\134x rw - cgroup2 cgroup rw\n", "0::/a b\n"), 0);
    assert_string_equal(l.unified.point, "/mnt/my cgroups\\x");
    assert_string_equal(l.unified.own, "/a b");
}

static void broken_texts(void **state)
{
    (void)state;
    char deep[HOST_PATH_MAX + 64] = "0::/";
    memset(deep + 4, 'a', HOST_PATH_MAX);
    deep[HOST_PATH_MAX + 4] = '\n';
    assert_int_equal(parse("", deep), -ENAMETOOLONG);
    assert_int_equal(parse("30 1 0:26 / /x rw\n", "0::/\n"), -EINVAL);
    assert_int_equal(parse("nonsense\n", "0::/\n"), -EINVAL);
    assert_true(parse("", "nonsense\n") < 0);
}

static void joining_and_parents(void **state)
{
    (void)state;
    static const struct {
        const char *dir, *name, *joined;
    } rows[] = {{"/a", "b", "/a/b"}, {"/a/", "/b", "/a/b"}, {"/", "b", "/b"},
                {"/a", "/", "/a"},   {"/", "/", "/"},       {"/a", "", "/a"}};
    char text[32];
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(layout_join(rows[i].dir, rows[i].name, text, sizeof(text)), 0);
        assert_string_equal(text, rows[i].joined);
    }
    assert_int_equal(layout_join("/0123456789", "0123456789", text, 12), -ENAMETOOLONG);
    char path[] = "/a/b";
    layout_parent(path);
    assert_string_equal(path, "/a");
    layout_parent(path);
    assert_string_equal(path, "/");
    layout_parent(path);
    assert_string_equal(path, "/");
    assert_true(layout_is_below("/a/b", "/a") && layout_is_below("/a", "/a") && layout_is_below("/a", "/"));
    assert_false(layout_is_below("/ab", "/a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hybrid),
        cmocka_unit_test(unified_service),
        cmocka_unit_test(container_with_a_cgroup_namespace),
        cmocka_unit_test(container_without_one_sees_only_its_part),
        cmocka_unit_test(our_cgroup_outside_of_the_namespace),
        cmocka_unit_test(of_several_mounts_the_one_that_shows_us),
        cmocka_unit_test(pure_v1_is_no_layout),
        cmocka_unit_test(blkio_alone_makes_no_hybrid),
        cmocka_unit_test(blanks_in_mount_points),
        cmocka_unit_test(broken_texts),
        cmocka_unit_test(joining_and_parents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
