// Type `output`: what a program writes to its standard output, as something to be backed up.
#pragma once

#include "actions/family.h"
#include "world/process.h"

namespace lifeboat {

// Throws Error{refused} in a drill, which cannot know what a program reaches, and for secrets among its arguments.
Command output_command(const ActionWorld& world, const ResolvedResource& resource);

}  // namespace lifeboat
