/* SPDX-License-Identifier: MIT */
/*
 * The commands' table, and what is printed from it: help, the man page's command part, shell completions.
 */
#include "commands.h"

#include <errno.h>
#include <string.h>

#include "weir/base/cleanup.h"
#include "weir/gate/link.h"

#define HELP_COLUMNS 80

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
    {OPTION_RECORDED, 0, "recorded", NULL,
     "the policies on record, also with -c (which then only says which supervisor)"},
    {OPTION_SWEEP, 0, "sweep", "[UNIT.]KEY=A,B,...",
     "one row for each value of a unit's key; repeated: for each combination"},
    {OPTION_EXPLAIN, 0, "explain", NULL, "tell in plain words what it means on this host"},
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
     "until weir is told to stop (SIGTERM, SIGINT, weir stop) or every unit has ended or was given up. Units "
     "of an "
     "earlier weir that was killed, or stopped with --keep, are adopted. What a unit prints goes to "
     "STATE_DIR/log/UNIT.log, with -v to the terminal too. Exit status 1 when a unit was given up.",
     "weir run search-docs.ini    # until Ctrl-C\n", cmd_run},
    {"check", "[CONFIG]", 0, 1, OPTION_EXPLAIN | OPTION_JSON,
     "tell every error of a config, with its line and what would be right",
     "Reads CONFIG and prints every error with its line, what is wrong and what would be right. Exit status "
     "1 when there is one. Without CONFIG prints a commented sample config. With --explain a config without "
     "an error "
     "is told in plain words: for each unit the steps of the ladder with their sizes on this host, what is "
     "off and "
     "why, then each rule and the units it judges.",
     "weir check search-docs.ini\nweir check --explain search-docs.ini\nweir check > new.ini    # a sample "
     "with every "
     "key\n",
     cmd_check},
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
    {"hold", "UNIT", 1, 1, OPTION_TARGET, "let no request through to a unit with a gate",
     "What its server sends waits in the pipe; requests in flight are answered. Until weir release, at the "
     "latest "
     "until gate_patience is over. Takes the place of what the ladder or a rule holds back. Exit status 1 "
     "with the "
     "reason when it cannot be done: no gate, or the unit is not ready.",
     "weir hold worker\n", cmd_hold},
    {"pace", "UNIT N|R/s|R/min", 2, 2, OPTION_TARGET, "let few requests through to a unit with a gate",
     "N: at most so many in flight at a time. R/s, R/min: so many in that time, evenly spaced. From 1 to "
     "65535. The "
     "others wait in the pipe. Until weir release, at the latest until gate_patience is over.",
     "weir pace worker 1    # one after the other\nweir pace worker 30/min\n", cmd_pace},
    {"release", "UNIT", 1, 1, OPTION_TARGET, "let the requests to a unit through again",
     "Undoes weir hold and weir pace, and what the ladder or a rule holds back; these begin anew when they "
     "find reason "
     "to.",
     "weir release worker\n", cmd_release},
    {"set", "UNIT KEY=VALUE", 2, 2, OPTION_TARGET, "change a limit or threshold of a running unit, on record",
     "KEY is one of [unit NAME] for which weir.conf(5) says that weir set changes it live; VALUE is written "
     "as in the "
     "config. The kernel's limits and the thresholds change at once, without a restart. The change is on "
     "record (weir "
     "log, weir history --all) and holds until the supervisor ends or the config is reloaded. A memory_max "
     "below what "
     "the unit uses is refused.",
     "weir set worker memory_max=5G\nweir set worker restart_at=80%\nweir set worker cpu_max=150%\n",
     cmd_set},
    {"reload", "", 0, 0, OPTION_TARGET, "apply a changed config and show the difference",
     "Reads the config file again. With any error in it nothing is changed and the errors are printed.",
     "weir reload\n", cmd_reload},
    {"history", "[samples|interventions|restarts|pressure|gate|runs]", 0, 1, RECORD | OPTION_CSV,
     "ask the record (works while no supervisor runs)",
     "Reads the supervisor's history file. interventions is the default; samples are the readings as they "
     "were "
     "taken; pressure is computed between consecutive samples from the kernel's totals; restarts tells each "
     "end of a "
     "unit with its cause from evidence; gate tells what passed the gates, each method "
     "of each unit, the most called first; runs lists the supervisor's lives. interventions --all also has "
     "the "
     "steps and the "
     "marks: set, reload, adoption, output dropped. --json prints one array.",
     "weir history\nweir history samples -u worker --since -10m\nweir history restarts --json\n",
     cmd_history},
    {"explain", "ID|RUN:ID|last [ACTION]", 1, 2, OPTION_TARGET | OPTION_JSON,
     "one intervention: rule, evidence before, what was done, its effect",
     "ID is the number that weir history and the log print after #. last is the newest intervention, last "
     "ACTION the newest of that kind: restart, throttle, notify, fail, ... A restart is judged by the first "
     "reading of the next process once it is ready, a throttle, pace or hold by the same process's last "
     "reading before it was undone. Where a unit with a gate was ended, the conclusion says whether its last "
     "requests "
     "were answered first.",
     "weir explain last\nweir explain last restart\nweir explain 3:17\n", cmd_explain},
    {"log", "", 0, 0, RECORD | OPTION_FOLLOW, "samples, events and decisions in one time line",
     "Oldest first. Left out without --all: readings between the ticks, the single steps of an intervention "
     "(TERM, KILL, "
     "freeze pulses), and that a decision was carried out. --json prints one object a line.",
     "weir log -f\nweir log --since -1m\n", cmd_log},
    {"replay", "[RUN|TRACE]", 0, 1,
     OPTION_TARGET | OPTION_UNIT | OPTION_ALL | OPTION_JSON | OPTION_CSV | OPTION_RECORDED | OPTION_SWEEP,
     "decide a recorded run again, by its own policy or another",
     "Without -c: feeds the run to the engine again with the policies that were recorded with it. The "
     "decisions must be "
     "the same, byte for byte; exit status 1 and the first difference when they are not.\n\n"
     "With -c CONFIG: what the policy of CONFIG would have done, and when, with a recorded run or with "
     "TRACE, a monitor "
     "log (lines of Time(s), RSS(MB), VSZ(MB), Threads). As long as it does what was done then, the readings "
     "are facts. "
     "From the first difference on they are counterfactual, and marked so: a model in which holding a unit "
     "back does not "
     "change its memory, stops and starts take as long as they usually did, and each new life goes like the "
     "recorded "
     "one. -n NAME says whose history the run is in when it is not CONFIG's own. A unit is chosen by -u "
     "where a trace "
     "could stand for several.\n\n"
     "With --sweep as well: the policy of CONFIG with each value of that key, one row each; at most 64 rows.",
     "weir replay    # the last run: still the same decisions?\n"
     "weir replay last -c new.ini    # what would this policy have done?\n"
     "weir replay worker.log -c new.ini --sweep memory_max=4G,6G,8G\n",
     cmd_replay},
};
const size_t cli_command_count = ARRAY_SIZE(cli_commands);

void cli_print_wrapped(const char *text, unsigned at, unsigned indent, FILE *out)
{
    unsigned column = at;
    bool first = true;
    while (*text) {
        unsigned length = (unsigned)strcspn(text, " \n");
        if (length == 0) { /* a paragraph ends */
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
            first = true;
            text++;
            continue;
        }
        if (!first && column + 1 + length > HELP_COLUMNS) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
            first = true;
        }
        fprintf(out, "%s%.*s", first ? "" : " ", (int)length, text);
        column += length + !first;
        first = false;
        text += length;
        text += strspn(text, " ");
    }
    (void)fputc('\n', out);
}

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
        int column = fprintf(out, "  %-22s ", left);
        cli_print_wrapped(o->text, (unsigned)column, 25, out);
    }
}

static void print_general_help(FILE *out)
{
    cli_print_wrapped(
        "weir launches services inside cgroups, watches the kernel's pressure and event files, and holds "
        "work back or restarts the worker before memory runs out.",
        0, 0, out);
    fputs("\nUsage: weir COMMAND [OPTIONS] ...\n\n", out);
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
    char usage[HELP_COLUMNS * 2];
    (void)snprintf(usage, sizeof(usage), "Usage: weir %s%s%s%s", command->name,
                   command->options ? " [OPTIONS]" : "", command->words[0] ? " " : "", command->words);
    cli_print_wrapped(usage, 0, (unsigned)strlen("Usage: weir "), out);
    (void)fputc('\n', out);
    cli_print_wrapped(command->text, 0, 0, out);
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

/* docs/man/weir.1.tail.scd goes on with this section. */
static void print_scdoc_gates(FILE *out)
{
    static const char *const notes[][2] = {
#define X(id, name, text) {name, text},
        GATE_NOTES(X)
#undef X
    };
    fputs("# GATES\n\n"
          "Requests to a unit with *gate =* in its section of the config pass through a small process of "
          "weir's, which holds\n"
          "them back when asked to and tells what passes. This goes on record as it happens, and *weir "
          "status* counts it:\n\n",
          out);
    for (size_t i = 0; i < ARRAY_SIZE(notes); i++)
        fprintf(out, "*%s*\n\t%s\n\n", notes[i][0], notes[i][1]);
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
    print_scdoc_gates(out);
}

/* Does it take a config file, or the name of a unit? */
static bool takes_file(const struct cli_command *c)
{
    return strstr(c->words, "CONFIG") != NULL || strstr(c->words, "TRACE") != NULL;
}

static bool takes_unit(const struct cli_command *c)
{
    return strstr(c->words, "UNIT") != NULL;
}

static void print_bash_words(const struct cli_command *c, FILE *out)
{
    fprintf(out, "    %s) words='--help", c->name);
    for (size_t k = 0; k < cli_option_count; k++)
        if (c->options & cli_options[k].bit)
            fprintf(out, " --%s", cli_options[k].name);
    if (c->run == cmd_history)
        fputs(" samples interventions restarts pressure gate runs", out);
    if (c->run == cmd_explain)
        fputs(" last", out);
    fprintf(out, "'%s%s ;;\n", takes_file(c) ? "; files=yes" : "", takes_unit(c) ? "; units=yes" : "");
}

/* Units are those of the running supervisor; files are for what takes a config alone. */
static void print_bash(FILE *out)
{
    fputs(
        "# bash completion for weir; printed from the commands' table\n"
        "_weir_units() {\n"
        "  weir status --json 2>/dev/null | sed -n 's/^      \"name\": "
        "\"\\(.*\\)\",\\{0,1\\}$/\\1/p'\n"
        "}\n"
        "_weir() {\n"
        "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words='' files='' units=''\n"
        "  if [ \"$COMP_CWORD\" -eq 1 ]; then words='",
        out);
    for (size_t i = 0; i < cli_command_count; i++)
        fprintf(out, "%s%s", i ? " " : "", cli_commands[i].name);
    fputs("'\n  else case ${COMP_WORDS[1]} in\n", out);
    for (size_t i = 0; i < cli_command_count; i++)
        print_bash_words(&cli_commands[i], out);
    fputs("  esac; fi\n"
          "  case $prev in\n"
          "    -c|--config) words='' units='' files=yes ;;\n"
          "    -u|--unit) words='' files='' units=yes ;;\n"
          "    -n|--name|--since|--until|--limit) words='' files='' units='' ;;\n"
          "    --run) words='last all' files='' units='' ;;\n"
          "  esac\n"
          "  [ -n \"$units\" ] && words=\"$words $(_weir_units)\"\n"
          "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\"; [ -n \"$files\" ] && compgen -f -- "
          "\"$cur\")\n"
          "}\n"
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
        fputs(takes_file(&cli_commands[i]) ? " '*:file:_files' ;;\n" : " '*:word:' ;;\n", out);
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
