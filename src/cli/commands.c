/* SPDX-License-Identifier: MIT */
/*
 * The commands' table, and what is printed from it: help, the man page's command part, shell completions.
 */
#include "commands.h"

#include <errno.h>
#include <string.h>

#include "weir/base/cleanup.h"

const struct cli_option_info cli_options[] = {
    {OPTION_TARGET, 'c', "config", "FILE", "the supervisor of this config file"},
    {OPTION_TARGET, 'n', "name", "NAME", "the supervisor of this name (default: the only one there is)"},
    {OPTION_UNIT, 'u', "unit", "UNIT", "only this unit"},
    {OPTION_RANGE, 0, "since", "TIME", "from then on: -10m, 12:23, today, \"2025-11-05 12:23\""},
    {OPTION_RANGE, 0, "until", "TIME", "up to then"},
    {OPTION_RUN, 0, "run", "N|last|all", "which life of the supervisor (default: the last)"},
    {OPTION_ALL, 'a', "all", NULL, "also what is left out by default (readings between the ticks, steps)"},
    {OPTION_LIMIT, 0, "limit", "N", "only the newest N rows"},
    {OPTION_JSON, 0, "json", NULL, "print JSON"},
    {OPTION_CSV, 0, "csv", NULL, "print CSV"},
    {OPTION_FOLLOW, 'f', "follow", NULL, "go on as new rows come"},
    {OPTION_KEEP, 0, "keep", NULL, "end the supervisor alone; its units go on and the next weir adopts them"},
    {OPTION_VERBOSE, 'v', "verbose", NULL, "tell more"},
};
const size_t cli_option_count = ARRAY_SIZE(cli_options);

#define READING (OPTION_TARGET | OPTION_JSON)
#define RECORD                                                                                               \
    (OPTION_TARGET | OPTION_UNIT | OPTION_RANGE | OPTION_RUN | OPTION_JSON | OPTION_ALL | OPTION_LIMIT)

const struct cli_command cli_commands[] = {
    {"run", "CONFIG", 1, 1, OPTION_VERBOSE,
     "launch the units of a config and supervise them, in the foreground",
     "Launches the service units of CONFIG, each in a cgroup of its own with its limits, and supervises them "
     "until "
     "they have ended or weir is told to stop (SIGTERM, SIGINT, weir stop). With -v the units' output is "
     "shown too. "
     "Exit status 1 when a unit was given up.",
     "weir run search-docs.ini    # until Ctrl-C\n", cmd_run},
    {"check", "[CONFIG]", 0, 1, 0, "tell every error of a config, with its line and what would be right",
     "Reads CONFIG and prints every error with its line, what is wrong and what would be right. Exit status "
     "1 when "
     "there is one. Without CONFIG prints a commented sample config.",
     "weir check search-docs.ini\nweir check > new.ini    # a sample with every key\n", cmd_check},
    {"doctor", "", 0, 0, OPTION_JSON, "tell what this host can and cannot do",
     "Prints the cgroup layout, the controllers and each ability of the kernel that weir uses, with what it "
     "is used "
     "for and what follows where it is missing. Changes nothing.",
     "weir doctor\n", cmd_doctor},
    {"status", "[UNIT]", 0, 1, READING, "show the units: state, limits, memory, pressure, restarts",
     "Asks the running supervisor. Pressure is the share of the last interval in which some, or all, tasks "
     "were "
     "stalled, from the kernel's totals.",
     "weir status\nweir status --json | jq .units\n", cmd_status},
    {"start", "UNIT", 1, 1, OPTION_TARGET, "start a unit, or allow a wrapped one to be started again",
     "A unit that was given up may fail as often as a new one again. A wrapped unit is started by its "
     "server.",
     "weir start server\n", cmd_start},
    {"stop", "[UNIT]", 0, 1, OPTION_TARGET | OPTION_KEEP, "stop a unit, or the supervisor with all its units",
     "With UNIT: SIGTERM, after stop_timeout its whole cgroup is killed. Without: all units, in reverse "
     "order, then "
     "the supervisor. With --keep the supervisor alone ends, and the units go on.",
     "weir stop worker\nweir stop\n", cmd_stop},
    {"restart", "UNIT", 1, 1, OPTION_TARGET, "stop a unit and start it again",
     "A wrapped unit is stopped; its server starts it again.", "weir restart worker\n", cmd_restart},
    {"freeze", "UNIT", 1, 1, OPTION_TARGET, "freeze all processes of a unit", "Until weir thaw.",
     "weir freeze worker\n", cmd_freeze},
    {"thaw", "UNIT", 1, 1, OPTION_TARGET, "thaw a frozen unit", "Undoes weir freeze.", "weir thaw worker\n",
     cmd_thaw},
    {"set", "UNIT KEY=VALUE", 2, 2, OPTION_TARGET, "change a limit or threshold of a running unit, on record",
     "The change holds until the supervisor ends or the config is reloaded; weir.conf(5) says which keys can "
     "be "
     "changed on a running unit.",
     "weir set worker memory_max=5G\nweir set worker restart_at=80%\n", cmd_set},
    {"reload", "", 0, 0, OPTION_TARGET, "apply a changed config and show the difference",
     "Reads the config file again. With any error in it nothing is changed and the errors are printed.",
     "weir reload\n", cmd_reload},
    {"history", "[samples|interventions|restarts|pressure|runs]", 0, 1, RECORD | OPTION_CSV,
     "ask the record (works while no supervisor runs)",
     "Reads the supervisor's history file. interventions is the default; samples are the readings as they "
     "were "
     "taken; pressure is computed between consecutive samples from the kernel's totals; restarts tells each "
     "end of a "
     "unit with its cause from evidence; runs lists the supervisor's lives.",
     "weir history\nweir history samples -u worker --since -10m\nweir history restarts --json\n",
     cmd_history},
    {"explain", "ID|RUN:ID|last [ACTION]", 1, 2, OPTION_TARGET | OPTION_JSON,
     "one intervention: rule, evidence before, what was done, its effect",
     "ID is the number that weir history and the log print after #. last is the newest intervention, last "
     "ACTION the newest of that kind: restart, throttle, notify, fail, ... A restart is judged by the first "
     "reading of the next process once it is ready, a throttle by the same process's last reading before it "
     "was undone.",
     "weir explain last\nweir explain last restart\nweir explain 3:17\n", cmd_explain},
    {"log", "", 0, 0, RECORD | OPTION_FOLLOW, "samples, events and decisions in one time line",
     "Oldest first.", "weir log -f\nweir log --since -1m\n", cmd_log},
    {"replay", "[RUN]", 0, 1, OPTION_TARGET | OPTION_ALL | OPTION_JSON,
     "feed a recorded run to the engine again and compare the decisions",
     "Uses the policies that were recorded with the run. The decisions must be the same, byte for byte; exit "
     "status 1 "
     "and the first difference when they are not.",
     "weir replay    # the last run\n", cmd_replay},
};
const size_t cli_command_count = ARRAY_SIZE(cli_commands);

static void print_options(unsigned mask, FILE *out)
{
    for (size_t i = 0; i < cli_option_count; i++) {
        const struct cli_option_info *o = &cli_options[i];
        if (!(mask & o->bit))
            continue;
        char left[48];
        char letter[8] = "    ";
        if (o->letter)
            (void)snprintf(letter, sizeof(letter), "-%c, ", o->letter);
        (void)snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name, o->value ? " " : "",
                       o->value ? o->value : "");
        fprintf(out, "  %-22s %s\n", left, o->text);
    }
}

static void print_general_help(FILE *out)
{
    fputs("weir launches services inside cgroups, watches the kernel's pressure and event files, and holds "
          "work back or\n"
          "restarts the worker before memory runs out.\n\nUsage: weir COMMAND [OPTIONS] ...\n\n",
          out);
    for (size_t i = 0; i < cli_command_count; i++)
        fprintf(out, "  %-10s %s\n", cli_commands[i].name, cli_commands[i].summary);
    fputs("\n'weir COMMAND --help' tells more; weir.conf(5) describes the config.\n", out);
}

void cli_print_help(const struct cli_command *command, FILE *out)
{
    if (!command) {
        print_general_help(out);
        return;
    }
    fprintf(out, "Usage: weir %s%s%s%s\n\n%s\n", command->name, command->options ? " [OPTIONS]" : "",
            command->words[0] ? " " : "", command->words, command->text);
    if (command->options) {
        fputs("\nOptions:\n", out);
        print_options(command->options, out);
    }
    fprintf(out, "\nExamples:\n");
    for (const char *p = command->examples; *p;) {
        size_t n = strcspn(p, "\n");
        fprintf(out, "  %.*s\n", (int)n, p);
        p += n + (p[n] != '\0');
    }
}

/* scdoc: a backslash takes the meaning of _ and * away */
static void print_escaped(const char *text, FILE *out)
{
    for (; *text; text++) {
        if (strchr("_*\\", *text))
            fputc('\\', out);
        fputc(*text, out);
    }
}

void cli_print_scdoc(FILE *out)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];
        fprintf(out, "## weir %s ", c->name);
        print_escaped(c->words, out);
        fputs("\n\n", out);
        print_escaped(c->text, out);
        fputs("\n\n", out);
        for (size_t k = 0; k < cli_option_count; k++) {
            const struct cli_option_info *o = &cli_options[k];
            if (!(c->options & o->bit))
                continue;
            fprintf(out, "*--%s*%s", o->name, o->value ? " " : "");
            if (o->value)
                print_escaped(o->value, out);
            if (o->letter)
                fprintf(out, ", *-%c*", o->letter);
            fputs("\n\t", out);
            print_escaped(o->text, out);
            fputs("\n\n", out);
        }
        fputs("```\n", out);
        fputs(c->examples, out);
        fputs("```\n\n", out);
    }
}

static void print_bash(FILE *out)
{
    fputs("# bash completion for weir; printed from the commands' table\n_weir() {\n"
          "  local cur=${COMP_WORDS[COMP_CWORD]} words\n"
          "  if [ \"$COMP_CWORD\" -eq 1 ]; then words='",
          out);
    for (size_t i = 0; i < cli_command_count; i++)
        fprintf(out, "%s%s", i ? " " : "", cli_commands[i].name);
    fputs("'\n  else case ${COMP_WORDS[1]} in\n", out);
    for (size_t i = 0; i < cli_command_count; i++) {
        fprintf(out, "    %s) words='--help", cli_commands[i].name);
        for (size_t k = 0; k < cli_option_count; k++)
            if (cli_commands[i].options & cli_options[k].bit)
                fprintf(out, " --%s", cli_options[k].name);
        if (cli_commands[i].run == cmd_history)
            fputs(" samples interventions restarts pressure runs", out);
        fputs("' ;;\n", out);
    }
    fputs("    *) words= ;;\n  esac; fi\n"
          "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\"; compgen -f -- \"$cur\")\n}\n"
          "complete -o filenames -F _weir weir\n",
          out);
}

static void print_zsh(FILE *out)
{
    fputs("#compdef weir\n# printed from the commands' table\nlocal -a commands\ncommands=(\n", out);
    for (size_t i = 0; i < cli_command_count; i++) {
        fprintf(out, "  '%s:", cli_commands[i].name);
        for (const char *p = cli_commands[i].summary; *p; p++)
            if (*p != '\'')
                fputc(*p, out);
        fputs("'\n", out);
    }
    fputs(")\nif (( CURRENT == 2 )); then _describe command commands; return; fi\ncase $words[2] in\n", out);
    for (size_t i = 0; i < cli_command_count; i++) {
        fprintf(out, "  %s) _arguments", cli_commands[i].name);
        for (size_t k = 0; k < cli_option_count; k++)
            if (cli_commands[i].options & cli_options[k].bit)
                fprintf(out, " '--%s%s'", cli_options[k].name, cli_options[k].value ? "=" : "");
        fputs(" '*:file:_files' ;;\n", out);
    }
    fputs("esac\n", out);
}

int cli_print_completion(const char *shell, FILE *out)
{
    if (strcmp(shell, "bash") == 0)
        print_bash(out);
    else if (strcmp(shell, "zsh") == 0)
        print_zsh(out);
    else
        return -EINVAL;
    return 0;
}
