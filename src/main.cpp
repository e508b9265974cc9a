#include "cli/command_line.h"

int main(int argc, char** argv) {
    return lifeboat::run_program(argc, argv);
}
