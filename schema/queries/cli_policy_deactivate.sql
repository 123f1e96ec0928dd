UPDATE policy SET active = false WHERE active
