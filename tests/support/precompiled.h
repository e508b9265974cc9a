#pragma once

#include <catch2/catch.hpp>

#include "base/precompiled.h"
